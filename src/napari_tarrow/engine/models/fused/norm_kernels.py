# mypy: ignore-errors
"""Triton kernels of `norm.py`: every row is a pixel of maps laid out as channels_last, every column a feature.

`norm` holds for every feature the mean, one over the standard deviation, and scale and shift of the batch norm, (4, C).
"""

from __future__ import annotations

import triton
import triton.language as tl

# Kernels are compiled once for all sizes; whether C is a multiple of 16 matters.
_SIZES = ["rows", "height", "width"]
_PROGRAMS = ["programs"]


@triton.jit(do_not_specialize=_SIZES)
def statistics(
    x, blocks, total, partial, rows, height, width, C,
    BR: tl.constexpr, BC: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """Sums over rows of `x - pivot` and its square, (programs, 2, C); with ADD, `x + blocks`, which `total` keeps."""
    parts = tl.cdiv(C, BC)
    program = tl.program_id(0) // parts
    column = tl.program_id(0) % parts * BC + tl.arange(0, BC)
    there = column < C
    pivot = tl.load(x + column, mask=there, other=0.0).to(tl.float32)
    first = tl.zeros([BR, BC], tl.float32)
    second = tl.zeros([BR, BC], tl.float32)
    for start in range(program * BR, rows, tl.num_programs(0) // parts * BR):
        row = start + tl.arange(0, BR)
        mask = (row < rows)[:, None] & there[None, :]
        at = row.to(tl.int64)[:, None] * C + column[None, :]
        value = tl.load(x + at, mask=mask, other=0.0)
        if ADD:
            other = tl.load(
                blocks + _place_in_blocks(row, height, width, C)[:, None] + column[None, :], mask=mask, other=0.0
            )
            value = (value.to(tl.float32) + other.to(tl.float32)).to(value.dtype)
            tl.store(total + at, value, mask=mask)
        away = tl.where(mask, value.to(tl.float32) - pivot[None, :], 0.0)
        first += away
        second += away * away
    put_sums(partial, program, column, first, second, C)


@triton.jit(do_not_specialize=_PROGRAMS)
def finish_statistics(
    partial, x, weight, bias, before, running_mean, running_var, norm, count, programs, momentum, eps, C,
    BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Batch norm from sums, and its running statistics; `before` is a bias that was left out of `x`."""
    column = tl.program_id(0) * BC + tl.arange(0, BC)
    there = column < C
    first, second = _sums(partial, programs, column, there, C, BC, BP)
    away = first / count
    mean = tl.load(x + column, mask=there, other=0.0).to(tl.float32) + away
    variance = tl.maximum(second / count - away * away, 0.0)
    inverse = 1.0 / tl.sqrt(variance + eps)
    scale = tl.load(weight + column, mask=there, other=0.0) * inverse
    shift = tl.load(bias + column, mask=there, other=0.0) - mean * scale
    tl.store(norm + column, mean, mask=there)
    tl.store(norm + C + column, inverse, mask=there)
    tl.store(norm + 2 * C + column, scale, mask=there)
    tl.store(norm + 3 * C + column, shift, mask=there)
    seen = tl.load(running_mean + column, mask=there, other=0.0)
    spread = tl.load(running_var + column, mask=there, other=0.0)
    mean += tl.load(before + column, mask=there, other=0.0)
    variance = variance * count / tl.maximum(count - 1.0, 1.0)
    tl.store(running_mean + column, seen + momentum * (mean - seen), mask=there)
    tl.store(running_var + column, spread + momentum * (variance - spread), mask=there)


@triton.jit(do_not_specialize=_SIZES)
def activate(
    x, norm, y, rows, height, width, slope, C,
    BR: tl.constexpr, BC: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """Leaky ReLU of the batch norm of `x`, with BORDER replicated pixels on every side; rows are those of `y`."""
    parts = tl.cdiv(C, BC)
    row = tl.program_id(0) // parts * BR + tl.arange(0, BR)
    column = tl.program_id(0) % parts * BC + tl.arange(0, BC)
    mask = (row < rows)[:, None] & (column < C)[None, :]
    source = _inside(row, height, width, BORDER)
    value = tl.load(x + source[:, None] * C + column[None, :], mask=mask, other=0.0).to(tl.float32)
    scale = tl.load(norm + 2 * C + column, mask=column < C, other=0.0)
    shift = tl.load(norm + 3 * C + column, mask=column < C, other=0.0)
    value = value * scale[None, :] + shift[None, :]
    value = tl.where(value > 0, value, value * slope)
    at = row.to(tl.int64)[:, None] * C + column[None, :]
    tl.store(y + at, value.to(y.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_SIZES)
def pool(
    y, pooled, rows, height, width, C,
    BR: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Largest of 2 x 2 pixels of `y`, which has a border, as `pooled` has; height and width are those of `pooled`."""
    parts = tl.cdiv(C, BC)
    row = tl.program_id(0) // parts * BR + tl.arange(0, BR)
    column = tl.program_id(0) % parts * BC + tl.arange(0, BC)
    mask = (row < rows)[:, None] & (column < C)[None, :]
    inside = _inside(row, height, width, 1)
    w = inside % width
    h = inside // width % height
    n = inside // (height * width)
    line = 2 * width + 2
    corner = (n * (2 * height + 2) + 2 * h + 1) * line + 2 * w + 1
    at = corner[:, None] * C + column[None, :]
    _, _, _, largest = _block(y, at, line, mask, C)
    at = row.to(tl.int64)[:, None] * C + column[None, :]
    tl.store(pooled + at, largest.to(pooled.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_SIZES)
def gradient_sums(
    x, norm, to_y, y, to_pooled, partial, rows, height, width, slope, C,
    BR: tl.constexpr, BC: tl.constexpr, BORDER: tl.constexpr, POOLED: tl.constexpr,
):  # fmt: skip
    """Sums over rows of the gradient behind batch norm, and of it times the normalised `x`, (programs, 2, C)."""
    parts = tl.cdiv(C, BC)
    program = tl.program_id(0) // parts
    column = tl.program_id(0) % parts * BC + tl.arange(0, BC)
    there = column < C
    first = tl.zeros([BR, BC], tl.float32)
    second = tl.zeros([BR, BC], tl.float32)
    for start in range(program * BR, rows, tl.num_programs(0) // parts * BR):
        row = start + tl.arange(0, BR)
        mask = (row < rows)[:, None] & there[None, :]
        gradient, normal, _ = _gradient(
            x, norm, to_y, y, to_pooled, row, column, mask, height, width, slope, C, BORDER, POOLED
        )
        first += gradient
        second += gradient * normal
    put_sums(partial, program, column, first, second, C)


@triton.jit(do_not_specialize=_PROGRAMS)
def finish_gradient_sums(
    partial, to_weight, to_bias, programs, C,
    BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """The gradients of batch norm's weight and bias."""
    column = tl.program_id(0) * BC + tl.arange(0, BC)
    there = column < C
    first, second = _sums(partial, programs, column, there, C, BC, BP)
    tl.store(to_bias + column, first, mask=there)
    tl.store(to_weight + column, second, mask=there)


@triton.jit(do_not_specialize=_SIZES)
def gradient_of_input(
    x, norm, to_y, y, to_pooled, to_weight, to_bias, to_x, to_blocks, rows, height, width, count, slope, C,
    BR: tl.constexpr, BC: tl.constexpr, BORDER: tl.constexpr, POOLED: tl.constexpr, ADD: tl.constexpr,
):  # fmt: skip
    """The gradient of `x`, and with ADD the same in the places of `blocks`."""
    parts = tl.cdiv(C, BC)
    row = tl.program_id(0) // parts * BR + tl.arange(0, BR)
    column = tl.program_id(0) % parts * BC + tl.arange(0, BC)
    there = column < C
    mask = (row < rows)[:, None] & there[None, :]
    gradient, normal, scale = _gradient(
        x, norm, to_y, y, to_pooled, row, column, mask, height, width, slope, C, BORDER, POOLED
    )
    mean = tl.load(to_bias + column, mask=there, other=0.0) / count
    along = tl.load(to_weight + column, mask=there, other=0.0) / count
    result = (scale[None, :] * (gradient - mean[None, :] - normal * along[None, :])).to(to_x.dtype.element_ty)
    tl.store(to_x + row.to(tl.int64)[:, None] * C + column[None, :], result, mask=mask)
    if ADD:
        tl.store(to_blocks + _place_in_blocks(row, height, width, C)[:, None] + column[None, :], result, mask=mask)


@triton.jit
def _gradient(
    x, norm, to_y, y, to_pooled, row, column, mask, height, width, slope, C,
    BORDER: tl.constexpr, POOLED: tl.constexpr,
):  # fmt: skip
    """Gradient between batch norm and leaky ReLU, the normalised `x`, and batch norm's scale."""
    there = column < C
    mean = tl.load(norm + column, mask=there, other=0.0)
    inverse = tl.load(norm + C + column, mask=there, other=0.0)
    scale = tl.load(norm + 2 * C + column, mask=there, other=0.0)
    shift = tl.load(norm + 3 * C + column, mask=there, other=0.0)
    value = tl.load(x + row.to(tl.int64)[:, None] * C + column[None, :], mask=mask, other=0.0).to(tl.float32)
    w = row % width
    h = row // width % height
    n = row // (height * width)
    if BORDER:
        gradient = _folded(to_y, n, h, w, column, mask, height, width, C)
    else:
        gradient = tl.load(to_y + row.to(tl.int64)[:, None] * C + column[None, :], mask=mask, other=0.0).to(tl.float32)
    if POOLED:
        line = width + 2
        corner = (n.to(tl.int64) * (height + 2) + h // 2 * 2 + 1) * line + w // 2 * 2 + 1
        at = corner[:, None] * C + column[None, :]
        a, b, c, largest = _block(y, at, line, mask, C)
        winner = tl.where(a == largest, 0, tl.where(b == largest, 1, tl.where(c == largest, 2, 3)))  # torch: the first
        own = h % 2 * 2 + w % 2
        pooled = _folded(to_pooled, n, h // 2, w // 2, column, mask, height // 2, width // 2, C)
        gradient += tl.where(winner == own[:, None], pooled, 0.0)
    gradient = tl.where(value * scale[None, :] + shift[None, :] > 0, gradient, gradient * slope)
    gradient = tl.where(mask, gradient, 0.0)
    return gradient, (value - mean[None, :]) * inverse[None, :], scale


@triton.jit
def _block(y, at, line, mask, C):
    """The first three of a block of 2 x 2 pixels, and the largest of all; a line has so many pixels."""
    a = tl.load(y + at, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(y + at + C, mask=mask, other=0.0).to(tl.float32)
    c = tl.load(y + at + line * C, mask=mask, other=0.0).to(tl.float32)
    d = tl.load(y + at + line * C + C, mask=mask, other=0.0).to(tl.float32)
    return a, b, c, tl.maximum(tl.maximum(a, b), tl.maximum(c, d))


@triton.jit
def _folded(to_y, n, h, w, column, mask, height, width, C):
    """The gradient of pixels that are repeated at the border: of maps with a border of one pixel."""
    line = width + 2
    at = ((n.to(tl.int64) * (height + 2) + h + 1) * line + w + 1)[:, None] * C + column[None, :]
    down = tl.where(h == 0, -1, tl.where(h == height - 1, 1, 0))
    across = tl.where(w == 0, -1, tl.where(w == width - 1, 1, 0))
    edge, side = mask & (down != 0)[:, None], mask & (across != 0)[:, None]
    step, move = (down * line * C)[:, None], (across * C)[:, None]
    gradient = tl.load(to_y + at, mask=mask, other=0.0).to(tl.float32)
    gradient += tl.load(to_y + at + step, mask=edge, other=0.0).to(tl.float32)
    gradient += tl.load(to_y + at + move, mask=side, other=0.0).to(tl.float32)
    gradient += tl.load(to_y + at + step + move, mask=edge & side, other=0.0).to(tl.float32)
    return gradient


@triton.jit
def _inside(row, height, width, BORDER: tl.constexpr):
    """The row of maps without a border that a row of maps with one repeats."""
    w = row % (width + 2 * BORDER) - BORDER
    h = row // (width + 2 * BORDER) % (height + 2 * BORDER) - BORDER
    n = row // ((width + 2 * BORDER) * (height + 2 * BORDER))
    w = tl.minimum(tl.maximum(w, 0), width - 1)
    h = tl.minimum(tl.maximum(h, 0), height - 1)
    return (n.to(tl.int64) * height + h) * width + w


@triton.jit
def _place_in_blocks(row, height, width, C):
    """Where in (N, 4 C, height / 2 + 1, width / 2 + 1) a pixel of (N, C, height, width) lies; see `_AddBlocks`."""
    w = row % width
    h = row // width % height
    n = row // (height * width)
    y, x = h // 2 + h % 2, w // 2 + w % 2
    pixel = (n.to(tl.int64) * (height // 2 + 1) + y) * (width // 2 + 1) + x
    return pixel * (4 * C) + (h % 2 * 2 + w % 2) * C


@triton.jit
def put_sums(partial, program, column, first, second, C):
    """Leave both sums over the rows of a program in (programs, 2, C)."""
    to = partial + program * 2 * C + column
    tl.store(to, tl.sum(first, 0), mask=column < C)
    tl.store(to + C, tl.sum(second, 0), mask=column < C)


@triton.jit
def _sums(partial, programs, column, there, C, BC: tl.constexpr, BP: tl.constexpr):
    """Sums over programs of both partial sums."""
    first = tl.zeros([BP, BC], tl.float32)
    second = tl.zeros([BP, BC], tl.float32)
    for start in range(0, programs, BP):
        program = start + tl.arange(0, BP)
        mask = (program < programs)[:, None] & there[None, :]
        at = program[:, None] * 2 * C + column[None, :]
        first += tl.load(partial + at, mask=mask, other=0.0)
        second += tl.load(partial + at + C, mask=mask, other=0.0)
    return tl.sum(first, 0), tl.sum(second, 0)
