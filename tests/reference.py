"""The paper's equations, transcribed anew: float64 numpy, two full products, the doubled input explicit."""

from itertools import product

import numpy as np


def average(p, G, e, G_r, e_r):
    """Eq. 3 with the leak of eq. 1, for one receptive field: p, e (J,), G (out, J), G_r and e_r (out,)."""
    numerator = G_r * e_r
    denominator = G_r * np.ones_like(e_r)
    for j in range(len(p)):
        numerator = numerator + G[:, j] * e[j] * p[j]
        denominator = denominator + G[:, j] * p[j]
    return numerator / denominator


def cwa_linear(p, G, e, G_r, e_r, doubled):
    """p (N, C), G (out, J), e (J,): (N, out)."""
    p = np.concatenate([p, p], axis=1) if doubled else p
    return np.stack([average(row, G, e, G_r, e_r) for row in p])


def cwa_conv(p, G, e, G_r, e_r, doubled, stride, padding, dilation, groups):
    """Eq. 6 in any dimension: p (N, C, *size), G (out, J, *kernel), e (C,) or (2 C,) to (N, out, *positions)."""
    axes = p.ndim - 2
    kernel = G.shape[2:]
    p = np.pad(p, [(0, 0), (0, 0), *((n, n) for n in padding)])
    size = [(p.shape[2 + a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in range(axes)]
    channels, out = p.shape[1] // groups, len(G) // groups
    z = np.empty((len(p), len(G), *size))
    for group in range(groups):
        units = slice(group * out, (group + 1) * out)
        own = slice(group * channels, (group + 1) * channels)
        valence = e[own]
        if doubled:
            valence = np.concatenate([e[own], e[p.shape[1] :][own]])
        valence = np.repeat(valence, int(np.prod(kernel)))
        for n, position in product(range(len(p)), product(*map(range, size))):
            window = tuple(
                slice(position[a] * stride[a], position[a] * stride[a] + dilation[a] * (kernel[a] - 1) + 1, dilation[a])
                for a in range(axes)
            )
            field = p[(n, own, *window)]
            field = np.concatenate([field, field]) if doubled else field
            z[(n, units, *position)] = average(
                field.reshape(-1), G[units].reshape(out, -1), valence, G_r[units], e_r[units]
            )
    return z


def absnorm_linear(p, W, G_r, e_r):
    """Paper section 4.4: p (N, C), W (out, C)."""
    return np.stack([(G_r * e_r + W @ row) / (G_r + np.abs(W) @ row) for row in p])


def potential(E, I):
    """Eq. 3 from E' and I', the leak among them."""
    z = np.empty_like(E)
    for at in np.ndindex(E.shape):
        z[at] = (E[at] - I[at]) / (E[at] + I[at])
    return z


def pooled(z):
    """One interneuron for each sample and position, at the mean of the units z (N, units, *positions)."""
    left = np.empty_like(z)
    for n, position in product(range(len(z)), product(*map(range, z.shape[2:]))):
        units = z[(n, slice(None), *position)]
        total = 1.0  # of each unit, whatever it is: the interneuron's conductance is a share of it
        m = units.sum() / len(units)
        left[(n, slice(None), *position)] = (total * units - abs(m) * total * np.sign(m)) / (total + abs(m) * total)
    return left


def adam(g, gradient, mean, square, step, lr, beta1, beta2, eps):
    """Kingma & Ba (2015), algorithm 1: g, and its two running means."""
    mean = beta1 * mean + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient**2
    g = g - lr * (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + eps)
    return g, mean, square


def nesterov(g, gradient, momentum, lr, mu):
    """Gradient descent with Nesterov's momentum as Sutskever et al. (2013) have it: g, and its momentum."""
    momentum = mu * momentum + gradient
    return g - lr * (gradient + mu * momentum), momentum
