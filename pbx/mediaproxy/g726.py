"""The encoder of G.726 at 32 kbit/s: four bits a sample, one after the other. Pure integers, as ITU-T G.726 has them.

Not here: other rates, packets, and the decoder, which FFmpeg has (its `g726le` is G726-32 of RFC 3551 §4.5.4, the first
sample in the low bits; its `g726` is AAL2-G726-32).

Ours and in Python, though it costs 2 to 4 ms of work for 20 ms of sound, since no library that we have does it: the
encoder of FFmpeg takes 2048 samples at once, a quarter of a second, ends at the first shorter piece, and gives other
octets than the recommendation after some two hundred samples; that of libsndfile does so after sixteen.
"""

from __future__ import annotations

from bisect import bisect_right

# ITU-T G.726 tables 7, 12 and 15 and §2.5 for four bits: decision levels, quantiser output, scale and speed factors
_LEVELS = (-124, 80, 178, 246, 300, 349, 400)
_OUTPUT = (-2048, 4, 135, 213, 273, 323, 373, 425, 425, 373, 323, 273, 213, 135, 4, -2048)
_SCALE = tuple(w << 5 for w in (-12, 18, 41, 64, 112, 198, 355, 1122, 1122, 355, 198, 112, 64, 41, 18, -12))
_SPEED = (0, 0, 0, 512, 512, 512, 1536, 3584, 3584, 1536, 512, 512, 512, 0, 0, 0)
_ZERO = 32
"""Nought as a floating point number of the recommendation: four bits of exponent, six of mantissa."""


def _floating(value: int) -> int:
    """FLOATA and FLOATB: sign, exponent, mantissa (the sign as that of the number)."""
    size = abs(value)
    exponent = size.bit_length()
    number = (exponent << 6) + ((size << 6) >> exponent) if size else _ZERO
    return number - 0x400 if value < 0 else number


def _product(coefficient: int, signal: int) -> int:
    """FMULT: a predictor coefficient times a signal in floating point."""
    size = coefficient if coefficient > 0 else -coefficient & 0x1FFF
    exponent = size.bit_length() - 6
    mantissa = 32 if not size else size >> exponent if exponent >= 0 else size << -exponent
    power = exponent + (signal >> 6 & 0xF) - 13
    product = (mantissa * (signal & 0x3F) + 0x30) >> 4
    result = (product << power) & 0x7FFF if power >= 0 else product >> -power
    return -result if (coefficient ^ signal) < 0 else result


class G726Encoder:
    """One direction of a call."""

    __slots__ = ("_a", "_ap", "_b", "_dml", "_dms", "_dq", "_pk", "_sr", "_td", "_yl", "_yu")

    def __init__(self) -> None:
        self._yl, self._yu = 34816, 544
        self._dms = self._dml = self._ap = 0
        self._a = (0, 0)
        self._b = [0] * 6
        self._dq = [_ZERO] * 6
        self._sr = (_ZERO, _ZERO)
        self._pk = (False, False)
        self._td = False

    def encode(self, sample: int) -> int:
        """The code of a 16-bit sample."""
        zeros, estimate = self._estimate()
        step = self._step()
        difference = (sample >> 2) - estimate
        size = abs(difference)
        exponent = (size >> 1).bit_length()
        level = (exponent << 7) + ((size << 7) >> exponent & 0x7F) - (step >> 2)
        code = bisect_right(_LEVELS, level)
        if difference < 0:
            code = 15 - code
        elif code == 0:
            code = 15
        self._adapt(code, step, zeros, estimate)
        return code

    def _estimate(self) -> tuple[int, int]:
        """Of the zeros alone, and the whole (§2.2.9)."""
        zeros = sum(_product(b >> 2, dq) for b, dq in zip(self._b, self._dq, strict=True))
        (a1, a2), (sr1, sr2) = self._a, self._sr
        poles = _product(a2 >> 2, sr2) + _product(a1 >> 2, sr1)
        return zeros >> 1, (zeros + poles) >> 1

    def _step(self) -> int:
        """Between the slow and the fast scale factor (§2.2.5, MIX)."""
        if self._ap >= 256:
            return self._yu
        slow = self._yl >> 6
        change = (self._yu - slow) * (self._ap >> 2)
        return slow + (change >> 6 if change > 0 else (change + 0x3F) >> 6)

    def _adapt(self, code: int, step: int, zeros: int, estimate: int) -> None:
        """Take in a code, as the decoder will."""
        level = _OUTPUT[code] + (step >> 2)
        size = 0 if level < 0 else (128 + (level & 0x7F) << 7) >> (14 - (level >> 7 & 0xF))
        negative = code >= 8
        signal = estimate - size if negative else estimate + size
        sum_ = signal + zeros - estimate
        jump = self._td and size > self._threshold()
        self._rescale(code, step)
        if jump:
            self._a, self._b = (0, 0), [0] * 6
        else:
            self._predict(sum_, size, negative)
        kept = _floating(-size) if negative and size else (_ZERO - 0x400 if negative else _floating(size))
        self._dq = [kept, *self._dq[:5]]
        self._sr = (_floating(signal), self._sr[0])
        self._pk = (sum_ < 0, self._pk[0])
        self._td = not jump and self._a[1] < -11776
        self._hurry(code, step, jump)

    def _threshold(self) -> int:
        """TRANS: what exceeds it after a tone is something new."""
        whole, part = self._yl >> 15, self._yl >> 10 & 0x1F
        limit = 31 << 10 if whole > 9 else (32 + part) << whole
        return (limit + (limit >> 1)) >> 1

    def _rescale(self, code: int, step: int) -> None:
        self._yu = max(544, min(5120, step + ((_SCALE[code] - step) >> 5)))
        self._yl += self._yu + (-self._yl >> 6)

    def _predict(self, sum_: int, size: int, negative: bool) -> None:
        """UPA2, LIMC, UPA1, LIMD, UPB."""
        a1, a2 = self._a
        sign, before, older = sum_ < 0, *self._pk
        turned = sign != before
        second = a2 - (a2 >> 7)
        if sum_:
            pull = a1 if turned else -a1
            second += -0x100 if pull < -8191 else 0xFF if pull > 8191 else pull >> 5
            second = max(-12288, min(12288, second + (-0x80 if sign != older else 0x80)))
        first = a1 - (a1 >> 8)
        if sum_:
            first += -192 if turned else 192
        limit = 15360 - second
        self._a = (max(-limit, min(limit, first)), second)
        if size:
            self._b = [
                b - (b >> 8) + (128 if negative == (dq < 0) else -128) for b, dq in zip(self._b, self._dq, strict=True)
            ]
        else:
            self._b = [b - (b >> 8) for b in self._b]

    def _hurry(self, code: int, step: int, jump: bool) -> None:
        """FILTA, FILTB, SUBTC, FILTC, TRIGA: how fast the scale may follow."""
        speed = _SPEED[code]
        self._dms += (speed - self._dms) >> 5
        self._dml += ((speed << 2) - self._dml) >> 7
        if jump:
            self._ap = 256
        elif step < 1536 or self._td or abs((self._dms << 2) - self._dml) >= self._dml >> 3:
            self._ap += (512 - self._ap) >> 4
        else:
            self._ap += -self._ap >> 4
