"""A store as a list: codes in the order of insertion, and a search that looks at every one."""


class ListStore:
    """Ids with their codes as integers; a code that is replaced moves to the end."""

    def __init__(self, codes):
        self.codes = dict(codes)

    def add(self, codes):
        for name, code in codes.items():
            self.codes.pop(name, None)
            self.codes[name] = code

    def remove(self, names):
        return sum(self.codes.pop(name, None) is not None for name in names)

    def search(self, query, top):
        """The nearest, first inserted first at equal distance: (id, distance)."""
        pairs = [(name, (code ^ query).bit_count()) for name, code in self.codes.items()]
        return sorted(pairs, key=lambda pair: pair[1])[:top]
