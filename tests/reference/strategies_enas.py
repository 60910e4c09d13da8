"""ENAS's controller and REINFORCE written out: one architecture at a time, and sums over all of them."""

import itertools

import torch


def all_paths(sizes):
    """Every architecture of a small space, as positions."""
    return list(itertools.product(*map(range, sizes)))


def lstm_policy(parameters, path, temperature, constant):
    """An LSTM, gate by gate, that chooses one path.

    Args:
        parameters: The controller's, by name.
        path: Position chosen in each cell.
        temperature: What logits are divided by.
        constant: Bound of the logits, by tanh; 0 for none.

    Returns:
        log pi(path), and the sum of the entropies of the distributions met on the way.
    """
    width = len(parameters["start"])
    hidden, memory = torch.zeros(2, width, dtype=torch.float64)
    token = parameters["start"]
    log_probability, entropy = 0.0, 0.0
    for cell, choice in enumerate(path):
        gates = (
            parameters["lstm.weight_ih"] @ token
            + parameters["lstm.bias_ih"]
            + parameters["lstm.weight_hh"] @ hidden
            + parameters["lstm.bias_hh"]
        )
        enter, forget, new, leave = gates.split(width)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(memory)
        logits = (parameters[f"heads.{cell}.weight"] @ hidden + parameters[f"heads.{cell}.bias"]) / temperature
        if constant:
            logits = constant * torch.tanh(logits)
        probabilities = torch.exp(logits) / torch.exp(logits).sum()
        log_probability = log_probability + torch.log(probabilities[choice])
        entropy = entropy - (probabilities * torch.log(probabilities)).sum()
        if cell + 1 < len(path):
            token = parameters[f"embeddings.{cell}.weight"][choice]
    return log_probability, entropy


def expected_reward(log_probabilities, rewards):
    """sum_m pi(m) R(m), which REINFORCE climbs; its gradient by autograd is exact."""
    return sum(torch.exp(log_p) * reward for log_p, reward in zip(log_probabilities, rewards, strict=True))


def policy_entropy(log_probabilities):
    """-sum_m pi(m) log pi(m)."""
    return -sum(torch.exp(log_p) * log_p for log_p in log_probabilities)
