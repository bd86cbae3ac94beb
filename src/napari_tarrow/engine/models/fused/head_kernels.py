# mypy: ignore-errors
"""Triton kernels of `heads.py`: one program handles a run of pixels of all K frames, 2 or 3, of one clip.

Maps are (B, K, pixels, C), features last. Nothing between them and the pooled features is kept: `y`, the hidden maps of
the first layer, and `u`, what the second makes of them before its batch norm, are computed anew wherever they are
needed, which costs less than to read them. Pairs are (0, 1), (1, 2), (0, 2). A frame's own features and those of the
other one are multiplied by `a` and `b` in the first layer, by `p` and `q` in the second.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .norm_kernels import put_sums

_SIZES = ["K", "pixels", "chunk"]


@triton.jit(do_not_specialize=_SIZES)
def moments(
    x, single, own, cross, K, pixels, chunk, C,
    BR: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sums of features (programs, K, C) and of products (programs, K, C, C), those of pairs (programs, P, C, C)."""
    clip, start, end = _run(pixels, chunk)
    column = tl.arange(0, BC)
    s0 = tl.zeros([BC], tl.float32)
    s1, s2 = s0, s0
    o0 = tl.zeros([BC, BC], tl.float32)
    o1, o2, c01, c12, c02 = o0, o0, o0, o0, o0
    for first in range(start, end, BR):
        x0 = _frame(x, clip, 0, first, end, pixels, C, K, BR, BC)
        x1 = _frame(x, clip, 1, first, end, pixels, C, K, BR, BC)
        s0 += tl.sum(x0.to(tl.float32), 0)
        s1 += tl.sum(x1.to(tl.float32), 0)
        o0 += tl.dot(tl.trans(x0), x0)
        o1 += tl.dot(tl.trans(x1), x1)
        c01 += tl.dot(tl.trans(x0), x1)
        if K == 3:
            x2 = _frame(x, clip, 2, first, end, pixels, C, K, BR, BC)
            s2 += tl.sum(x2.to(tl.float32), 0)
            o2 += tl.dot(tl.trans(x2), x2)
            c12 += tl.dot(tl.trans(x1), x2)
            c02 += tl.dot(tl.trans(x0), x2)
    number = tl.program_id(0)
    there = column < C
    tl.store(single + (number * K) * C + column, s0, mask=there)
    tl.store(single + (number * K + 1) * C + column, s1, mask=there)
    _store_square(own, number * K, o0, C, BC)
    _store_square(own, number * K + 1, o1, C, BC)
    _store_square(cross, number * (2 * K - 3), c01, C, BC)
    if K == 3:
        tl.store(single + (number * K + 2) * C + column, s2, mask=there)
        _store_square(own, number * K + 2, o2, C, BC)
        _store_square(cross, number * 3 + 1, c12, C, BC)
        _store_square(cross, number * 3 + 2, c02, C, BC)


@triton.jit(do_not_specialize=_SIZES)
def add_gradient_of_moments(
    x, single, own, cross, to_x, K, pixels, chunk, C,
    BR: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Add to `to_x` what gradients of `single` (B, K, C), symmetric `own` (B, K, C, C) and `cross` (P, C, C) give."""
    clip, start, end = _run(pixels, chunk)
    kind: tl.constexpr = x.dtype.element_ty
    for first in range(start, end, BR):
        x0 = _frame(x, clip, 0, first, end, pixels, C, K, BR, BC)
        x1 = _frame(x, clip, 1, first, end, pixels, C, K, BR, BC)
        c01 = _square(cross, 0, C, BC).to(kind)
        g0 = _own_part(x0, single, own, clip * K, C, BC)
        g1 = _own_part(x1, single, own, clip * K + 1, C, BC)
        g0 += tl.dot(x1, tl.trans(c01))
        g1 += tl.dot(x0, c01)
        if K == 3:
            x2 = _frame(x, clip, 2, first, end, pixels, C, K, BR, BC)
            c12 = _square(cross, 1, C, BC).to(kind)
            c02 = _square(cross, 2, C, BC).to(kind)
            g2 = _own_part(x2, single, own, clip * K + 2, C, BC)
            g1 += tl.dot(x2, tl.trans(c12))
            g2 += tl.dot(x1, c12)
            g0 += tl.dot(x2, tl.trans(c02))
            g2 += tl.dot(x0, c02)
            _put_frame(to_x, g2, True, clip, 2, first, end, pixels, C, K, BR, BC)
        _put_frame(to_x, g0, True, clip, 0, first, end, pixels, C, K, BR, BC)
        _put_frame(to_x, g1, True, clip, 1, first, end, pixels, C, K, BR, BC)


@triton.jit(do_not_specialize=_SIZES)
def statistics(
    x, a, b, bias, p, q, pivot, partial, K, pixels, chunk, slope, C, F,
    BR: tl.constexpr, BC: tl.constexpr, BF: tl.constexpr,
):  # fmt: skip
    """Sums over pixels and pairs of `u - pivot` and of its square, (programs, 2, F)."""
    clip, start, end = _run(pixels, chunk)
    kind: tl.constexpr = x.dtype.element_ty
    column = tl.arange(0, BF)
    level = tl.load(pivot + column, mask=column < F, other=0.0)[None, :]
    wa, wb, wc, wp, wq = _weights(a, b, bias, p, q, C, F, kind, BC, BF)
    sums = tl.zeros([BR, BF], tl.float32)
    squares = tl.zeros([BR, BF], tl.float32)
    for first in range(start, end, BR):
        there = (first + tl.arange(0, BR) < end)[:, None]
        for pair in range(2 * K - 3):
            _, _, yi, yj = _pair(x, clip, pair, first, end, pixels, C, K, wa, wb, wc, slope, BR, BC)
            ui = tl.where(there, _mixed(yi, yj, wp, wq) - level, 0.0)
            uj = tl.where(there, _mixed(yj, yi, wp, wq) - level, 0.0)
            sums += ui + uj
            squares += ui * ui + uj * uj
    put_sums(partial, tl.program_id(0), column, sums, squares, F)


@triton.jit(do_not_specialize=_SIZES)
def pooled(
    x, a, b, bias, p, q, norm, partial, K, pixels, chunk, slope, C, F,
    BR: tl.constexpr, BC: tl.constexpr, BF: tl.constexpr,
):  # fmt: skip
    """Sums over pixels of leaky ReLU of the batch norm of `u`, (programs, P, 2, F)."""
    clip, start, end = _run(pixels, chunk)
    kind: tl.constexpr = x.dtype.element_ty
    column = tl.arange(0, BF)
    scale = tl.load(norm + 2 * F + column, mask=column < F, other=0.0)[None, :]
    shift = tl.load(norm + 3 * F + column, mask=column < F, other=0.0)[None, :]
    wa, wb, wc, wp, wq = _weights(a, b, bias, p, q, C, F, kind, BC, BF)
    for pair in range(2 * K - 3):
        si = tl.zeros([BR, BF], tl.float32)
        sj = tl.zeros([BR, BF], tl.float32)
        for first in range(start, end, BR):
            there = (first + tl.arange(0, BR) < end)[:, None]
            _, _, yi, yj = _pair(x, clip, pair, first, end, pixels, C, K, wa, wb, wc, slope, BR, BC)
            vi = _mixed(yi, yj, wp, wq) * scale + shift
            vj = _mixed(yj, yi, wp, wq) * scale + shift
            si += tl.where(there, tl.where(vi > 0, vi, vi * slope), 0.0)
            sj += tl.where(there, tl.where(vj > 0, vj, vj * slope), 0.0)
        put_sums(partial, tl.program_id(0) * (2 * K - 3) + pair, column, si, sj, F)


@triton.jit(do_not_specialize=_SIZES)
def gradient_sums(
    x, a, b, bias, p, q, norm, to_pooled, partial, K, pixels, chunk, slope, C, F,
    BR: tl.constexpr, BC: tl.constexpr, BF: tl.constexpr,
):  # fmt: skip
    """Sums of the gradient behind batch norm, and of it times the normalised `u`, (programs, 2, F)."""
    clip, start, end = _run(pixels, chunk)
    kind: tl.constexpr = x.dtype.element_ty
    column = tl.arange(0, BF)
    wa, wb, wc, wp, wq = _weights(a, b, bias, p, q, C, F, kind, BC, BF)
    sums = tl.zeros([BR, BF], tl.float32)
    along = tl.zeros([BR, BF], tl.float32)
    for first in range(start, end, BR):
        there = (first + tl.arange(0, BR) < end)[:, None]
        for pair in range(2 * K - 3):
            _, _, yi, yj = _pair(x, clip, pair, first, end, pixels, C, K, wa, wb, wc, slope, BR, BC)
            ui, uj = _mixed(yi, yj, wp, wq), _mixed(yj, yi, wp, wq)
            number = (clip * (2 * K - 3) + pair) * 2
            gi, ni, _ = _behind_norm(ui, norm, to_pooled, number, there, slope, F, BF)
            gj, nj, _ = _behind_norm(uj, norm, to_pooled, number + 1, there, slope, F, BF)
            sums += gi + gj
            along += gi * ni + gj * nj
    put_sums(partial, tl.program_id(0), column, sums, along, F)


@triton.jit(do_not_specialize=_SIZES)
def gradients(
    x, a, b, bias, p, q, norm, to_pooled, to_weight, to_bias, count,
    to_x, to_a, to_b, to_first, to_p, to_q, K, pixels, chunk, slope, C, F,
    BR: tl.constexpr, BC: tl.constexpr, BF: tl.constexpr,
):  # fmt: skip
    """The gradient of `x`, and for every program those of `a`, `b` (F, C), `p`, `q` (F, F) and of the bias (F)."""
    clip, start, end = _run(pixels, chunk)
    kind: tl.constexpr = x.dtype.element_ty
    column = tl.arange(0, BF)
    wa, wb, wc, wp, wq = _weights(a, b, bias, p, q, C, F, kind, BC, BF)
    mean = tl.load(to_bias + column, mask=column < F, other=0.0)[None, :] / count
    along = tl.load(to_weight + column, mask=column < F, other=0.0)[None, :] / count
    ga = tl.zeros([BC, BF], tl.float32)
    gb = tl.zeros([BC, BF], tl.float32)
    gp = tl.zeros([BF, BF], tl.float32)
    gq = tl.zeros([BF, BF], tl.float32)
    gc = tl.zeros([BF], tl.float32)
    for first in range(start, end, BR):
        there = (first + tl.arange(0, BR) < end)[:, None]
        for pair in range(2 * K - 3):
            xi, xj, yi, yj = _pair(x, clip, pair, first, end, pixels, C, K, wa, wb, wc, slope, BR, BC)
            ui, uj = _mixed(yi, yj, wp, wq), _mixed(yj, yi, wp, wq)
            number = (clip * (2 * K - 3) + pair) * 2
            hi, ni, scale = _behind_norm(ui, norm, to_pooled, number, there, slope, F, BF)
            hj, nj, _ = _behind_norm(uj, norm, to_pooled, number + 1, there, slope, F, BF)
            hi = tl.where(there, scale * (hi - mean - ni * along), 0.0).to(kind)
            hj = tl.where(there, scale * (hj - mean - nj * along), 0.0).to(kind)
            gp += tl.dot(tl.trans(yi), hi)
            gp += tl.dot(tl.trans(yj), hj)
            gq += tl.dot(tl.trans(yj), hi)
            gq += tl.dot(tl.trans(yi), hj)
            zi = _mixed(hi, hj, tl.trans(wp), tl.trans(wq))
            zj = _mixed(hj, hi, tl.trans(wp), tl.trans(wq))
            zi = tl.where(yi > 0, zi, zi * slope)
            zj = tl.where(yj > 0, zj, zj * slope)
            gc += tl.sum(zi + zj, 0)
            zi, zj = zi.to(kind), zj.to(kind)
            ga += tl.dot(tl.trans(xi), zi)
            ga += tl.dot(tl.trans(xj), zj)
            gb += tl.dot(tl.trans(xj), zi)
            gb += tl.dot(tl.trans(xi), zj)
            ti = _mixed(zi, zj, tl.trans(wa), tl.trans(wb))
            tj = _mixed(zj, zi, tl.trans(wa), tl.trans(wb))
            i, j = _members(pair)  # frames are come by in the order 0, 1; 1, 2; 0, 2
            _put_frame(to_x, ti, pair > 0, clip, i, first, end, pixels, C, K, BR, BC)
            _put_frame(to_x, tj, pair > 1, clip, j, first, end, pixels, C, K, BR, BC)
            tl.debug_barrier()  # what one thread has put, another may add to
    number = tl.program_id(0)
    _store_turned(to_a, number, ga, C, F, BC, BF)
    _store_turned(to_b, number, gb, C, F, BC, BF)
    _store_turned(to_p, number, gp, F, F, BF, BF)
    _store_turned(to_q, number, gq, F, F, BF, BF)
    tl.store(to_first + number * F + column, gc, mask=column < F)


@triton.jit
def _run(pixels, chunk):
    """The clip of a program, and its first pixel and the one after its last."""
    chunks = tl.cdiv(pixels, chunk)
    start = tl.program_id(0) % chunks * chunk
    return tl.program_id(0) // chunks, start, tl.minimum(start + chunk, pixels)


@triton.jit
def _at(clip, frame, first, pixels, C, K, BR: tl.constexpr, BC: tl.constexpr):
    row = (clip * K + frame).to(tl.int64) * pixels + first + tl.arange(0, BR)
    return row[:, None] * C + tl.arange(0, BC)[None, :]


@triton.jit
def _inside(first, end, C, BR: tl.constexpr, BC: tl.constexpr):
    return (first + tl.arange(0, BR) < end)[:, None] & (tl.arange(0, BC) < C)[None, :]


@triton.jit
def _frame(x, clip, frame, first, end, pixels, C, K, BR: tl.constexpr, BC: tl.constexpr):
    """Pixels of a frame, (BR, BC); zeros after the last."""
    at = _at(clip, frame, first, pixels, C, K, BR, BC)
    return tl.load(x + at, mask=_inside(first, end, C, BR, BC), other=0.0)


@triton.jit
def _put_frame(to_x, value, add, clip, frame, first, end, pixels, C, K, BR: tl.constexpr, BC: tl.constexpr):
    """Store pixels of a frame, or add them to what is there."""
    at = _at(clip, frame, first, pixels, C, K, BR, BC)
    mask = _inside(first, end, C, BR, BC)
    value += tl.load(to_x + at, mask=mask & add, other=0.0).to(tl.float32)
    tl.store(to_x + at, value.to(to_x.dtype.element_ty), mask=mask)


@triton.jit
def _members(pair):
    """The frames of a pair: 0, 1; 1, 2; 0, 2."""
    return pair % 2, 1 + (pair + 1) // 2 % 2


@triton.jit
def _own_part(x, single, own, number, C, BC: tl.constexpr):
    """What the gradients of one frame's own sums give."""
    column = tl.arange(0, BC)
    alone = tl.load(single + number * C + column, mask=column < C, other=0.0)
    return tl.dot(x, _square(own, number, C, BC).to(x.dtype)) + alone[None, :]


@triton.jit
def _square(matrices, number, C, BC: tl.constexpr):
    side = tl.arange(0, BC)
    mask = (side < C)[:, None] & (side < C)[None, :]
    return tl.load(matrices + (number * C + side[:, None]) * C + side[None, :], mask=mask, other=0.0)


@triton.jit
def _store_square(matrices, number, value, C, BC: tl.constexpr):
    side = tl.arange(0, BC)
    mask = (side < C)[:, None] & (side < C)[None, :]
    tl.store(matrices + (number * C + side[:, None]) * C + side[None, :], value, mask=mask)


@triton.jit
def _turned(weight, C, F, BC: tl.constexpr, BF: tl.constexpr):
    """A weight (F, C), transposed: (BC, BF)."""
    row, column = tl.arange(0, BC), tl.arange(0, BF)
    mask = (row < C)[:, None] & (column < F)[None, :]
    return tl.load(weight + column[None, :] * C + row[:, None], mask=mask, other=0.0)


@triton.jit
def _store_turned(weights, number, value, C, F, BC: tl.constexpr, BF: tl.constexpr):
    row, column = tl.arange(0, BC), tl.arange(0, BF)
    mask = (row < C)[:, None] & (column < F)[None, :]
    tl.store(weights + (number * F + column[None, :]) * C + row[:, None], value, mask=mask)


@triton.jit
def _mixed(one, other, own, common):
    """`one own + other common`, in float32."""
    return tl.dot(other, common, acc=tl.dot(one, own))


@triton.jit
def _weights(a, b, bias, p, q, C, F, kind: tl.constexpr, BC: tl.constexpr, BF: tl.constexpr):
    """Both layers' weights, transposed, of the type of `x`; the bias of the first in float32."""
    column = tl.arange(0, BF)
    wa, wb = _turned(a, C, F, BC, BF).to(kind), _turned(b, C, F, BC, BF).to(kind)
    wp, wq = _turned(p, F, F, BF, BF).to(kind), _turned(q, F, F, BF, BF).to(kind)
    return wa, wb, tl.load(bias + column, mask=column < F, other=0.0)[None, :], wp, wq


@triton.jit
def _pair(x, clip, pair, first, end, pixels, C, K, wa, wb, wc, slope, BR: tl.constexpr, BC: tl.constexpr):
    """Pixels of both frames of a pair, and their hidden maps, of the type of `x`."""
    i, j = _members(pair)
    xi = _frame(x, clip, i, first, end, pixels, C, K, BR, BC)
    xj = _frame(x, clip, j, first, end, pixels, C, K, BR, BC)
    yi = _mixed(xi, xj, wa, wb) + wc
    yj = _mixed(xj, xi, wa, wb) + wc
    yi = tl.where(yi > 0, yi, yi * slope)
    yj = tl.where(yj > 0, yj, yj * slope)
    return xi, xj, yi.to(xi.dtype), yj.to(xi.dtype)


@triton.jit
def _behind_norm(u, norm, to_pooled, number, there, slope, F, BF: tl.constexpr):
    """The gradient between batch norm and leaky ReLU, the normalised `u`, and batch norm's scale."""
    column = tl.arange(0, BF)
    mean = tl.load(norm + column, mask=column < F, other=0.0)[None, :]
    inverse = tl.load(norm + F + column, mask=column < F, other=0.0)[None, :]
    scale = tl.load(norm + 2 * F + column, mask=column < F, other=0.0)[None, :]
    shift = tl.load(norm + 3 * F + column, mask=column < F, other=0.0)[None, :]
    gradient = tl.load(to_pooled + number * F + column, mask=column < F, other=0.0)[None, :]
    gradient = tl.where(u * scale + shift > 0, gradient, gradient * slope)
    return tl.where(there, gradient, 0.0), (u - mean) * inverse, scale
