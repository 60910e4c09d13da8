"""The selective scan as two Triton kernels; imported only by `scan_triton`, if triton is installed.

A program walks the time steps of one video and one block of channels with the states, (BLOCK_N, BLOCK_E), in
registers. Channels map to the threads of a warp and states stay within a thread, so that sums over states are local.
All arithmetic is in float32. The caller sums over videos and blocks of channels in a fixed order, so that gradients are
deterministic, bit for bit.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl


@triton.jit
def _load(pointer, offsets, mask):
    return tl.load(pointer + offsets, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _advance(state, a, x_t, delta_t, B_t):
    """The states a step later; `a` and `state` are (BLOCK_N, BLOCK_E)."""
    return tl.exp(delta_t[None, :] * a) * state + B_t[:, None] * (delta_t * x_t)[None, :]


@triton.jit
def forward(x, delta, A, B, C, y, steps, width, states, BLOCK_N: tl.constexpr, BLOCK_E: tl.constexpr):
    """Writes y.

    All tensors are contiguous: x, delta, y (videos, steps, width); A (states, width); B, C (videos, steps, states).
    BLOCK_N, at least `states`, and BLOCK_E, the channels of a program, are powers of two.
    """
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    n = tl.arange(0, BLOCK_N)
    in_e, in_n = e < width, n < states
    a = _load(A, n[:, None] * width + e[None, :], in_n[:, None] & in_e[None, :])
    state = tl.zeros((BLOCK_N, BLOCK_E), tl.float32)
    first = tl.program_id(0).to(tl.int64) * steps
    for t in range(0, steps):
        sequence, control = (first + t) * width + e, (first + t) * states + n
        x_t, delta_t, B_t = _load(x, sequence, in_e), _load(delta, sequence, in_e), _load(B, control, in_n)
        state = _advance(state, a, x_t, delta_t, B_t)
        tl.store(y + sequence, tl.sum(state * _load(C, control, in_n)[:, None], 0), mask=in_e)


@triton.jit
def backward(
    grad_y,
    x,
    delta,
    A,
    B,
    C,
    starts,
    history,
    grad_x,
    grad_delta,
    grad_A,
    grad_B,
    grad_C,
    steps,
    width,
    states,
    segment,
    segments,
    BLOCK_N: tl.constexpr,
    BLOCK_E: tl.constexpr,
):
    """Writes the gradients: walks forward to the start of each segment, then back, one segment at a time.

    Tensors as in `forward`. `starts` stores the states before each segment, (videos, blocks, segments, BLOCK_N,
    BLOCK_E), `history` those before each step of a segment, (videos, blocks, segment, BLOCK_N, BLOCK_E). grad_A is
    written per video, (videos, states, width), grad_B and grad_C per block of channels, (blocks, videos, steps,
    states). The last segment may be shorter than `segment` steps.
    """
    video, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    e = block * BLOCK_E + tl.arange(0, BLOCK_E)
    n = tl.arange(0, BLOCK_N)
    in_e, in_n = e < width, n < states
    weights = n[:, None] * width + e[None, :]
    in_weights = in_n[:, None] & in_e[None, :]
    a = _load(A, weights, in_weights)
    tile = n[:, None] * BLOCK_E + tl.arange(0, BLOCK_E)[None, :]
    room = video * tl.num_programs(1) + block
    starts += room * segments * BLOCK_N * BLOCK_E + tile
    history += room * segment * BLOCK_N * BLOCK_E + tile
    first = video * steps
    parts = (block.to(tl.int64) * tl.num_programs(0) + video) * steps

    state = tl.zeros((BLOCK_N, BLOCK_E), tl.float32)
    for part in range(0, segments):
        tl.store(starts + part * BLOCK_N * BLOCK_E, state)
        if part < segments - 1:
            for t in range(part * segment, (part + 1) * segment):
                sequence, control = (first + t) * width + e, (first + t) * states + n
                x_t, delta_t, B_t = _load(x, sequence, in_e), _load(delta, sequence, in_e), _load(B, control, in_n)
                state = _advance(state, a, x_t, delta_t, B_t)
    tl.debug_barrier()  # threads load what others have stored

    grad_state = tl.zeros((BLOCK_N, BLOCK_E), tl.float32)
    grad_a = tl.zeros((BLOCK_N, BLOCK_E), tl.float32)
    for passed in range(0, segments):
        part = segments - 1 - passed
        start, end = part * segment, tl.minimum((part + 1) * segment, steps)
        state = tl.load(starts + part * BLOCK_N * BLOCK_E)
        for t in range(start, end):
            tl.store(history + (t - start) * BLOCK_N * BLOCK_E, state)
            sequence, control = (first + t) * width + e, (first + t) * states + n
            x_t, delta_t, B_t = _load(x, sequence, in_e), _load(delta, sequence, in_e), _load(B, control, in_n)
            state = _advance(state, a, x_t, delta_t, B_t)
        tl.debug_barrier()
        for i in range(0, end - start):
            t = end - 1 - i
            sequence, control = (first + t) * width + e, (first + t) * states + n
            x_t, delta_t, B_t = _load(x, sequence, in_e), _load(delta, sequence, in_e), _load(B, control, in_n)
            drive, grad_y_t = delta_t * x_t, _load(grad_y, sequence, in_e)
            decay = tl.exp(delta_t[None, :] * a)
            decayed = decay * tl.load(history + (t - start) * BLOCK_N * BLOCK_E)
            state = decayed + B_t[:, None] * drive[None, :]
            grad_state += _load(C, control, in_n)[:, None] * grad_y_t[None, :]
            control_part = (parts + t) * states + n
            tl.store(grad_C + control_part, tl.sum(state * grad_y_t[None, :], 1), mask=in_n)
            tl.store(grad_B + control_part, tl.sum(grad_state * drive[None, :], 1), mask=in_n)
            grad_drive = tl.sum(grad_state * B_t[:, None], 0)
            grad_exponent = grad_state * decayed
            tl.store(grad_x + sequence, grad_drive * delta_t, mask=in_e)
            tl.store(grad_delta + sequence, grad_drive * x_t + tl.sum(grad_exponent * a, 0), mask=in_e)
            grad_a += grad_exponent * delta_t[None, :]
            grad_state *= decay
        tl.debug_barrier()  # the next segment overwrites the history
    tl.store(grad_A + video * states * width + weights, grad_a, mask=in_weights)
