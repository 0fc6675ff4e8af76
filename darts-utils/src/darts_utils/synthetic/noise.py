"""Random fields with wavelengths in metres: the same world at every pixel size."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Field = NDArray[np.float64]


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    resolution_m: float,
    spectral_slope: float,
    largest_m: float,
    smallest_m: float = 0.0,
) -> Field:
    """Draw a random field with a power-law spectrum.

    Args:
        rng: Source of randomness.
        shape: ``(height, width)`` of the field.
        resolution_m: Pixel size.
        spectral_slope: Amplitude falls with frequency to this power.
        largest_m: Wavelengths above are as strong as this one.
        smallest_m: Wavelengths below are absent.

    Returns:
        ``(height, width)`` float64, mean 0 and standard deviation 1.
    """
    white = rng.standard_normal(shape)
    spectrum = scipy.fft.rfft2(white)
    rows = scipy.fft.fftfreq(shape[0], resolution_m)[:, None]
    columns = scipy.fft.rfftfreq(shape[1], resolution_m)[None, :]
    frequency = np.hypot(rows, columns)
    amplitude = np.maximum(frequency, 1.0 / largest_m) ** (-spectral_slope)
    if smallest_m > 0:
        amplitude *= np.exp(-((frequency * smallest_m) ** 2))
    amplitude[0, 0] = 0.0
    values: Field = scipy.fft.irfft2(spectrum * amplitude, s=shape)
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 0 else values


def threshold_for_share(values: Field, share: float) -> float:
    """The value above which a `share` of the field lies."""
    return float(np.quantile(values, 1.0 - share))
