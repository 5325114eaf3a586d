"""Rows picked and added up by index: an embedding and a segment sum, right and mistaken."""

import torch


class Embedding(torch.autograd.Function):
    """weight[indices]; rows at `padding` are not learned."""

    @staticmethod
    def forward(ctx, weight, indices):
        ctx.save_for_backward(indices)
        ctx.shape = weight.shape
        return weight[indices]

    @staticmethod
    def backward(ctx, g):
        (indices,) = ctx.saved_tensors
        return g.new_zeros(ctx.shape).index_add(0, indices.flatten(), rows(g)), None


def rows(tensor):
    return tensor.flatten(0, -2)


class LastOneWins(Embedding):
    """Writes rows in place of adding them up: of an index that comes twice, the last."""

    @staticmethod
    def backward(ctx, g):
        (indices,) = ctx.saved_tensors
        return g.new_zeros(ctx.shape).index_copy(0, indices.flatten(), rows(g)), None


class Averaged(Embedding):
    """Divided by how often an index comes, as a scaling by frequency is."""

    @staticmethod
    def backward(ctx, g):
        (indices,) = ctx.saved_tensors
        found, _ = Embedding.backward(ctx, g)
        counts = indices.flatten().bincount(minlength=len(found)).clamp(min=1)
        return found / counts[:, None], None


class OneBuffer(Embedding):
    """Adds to a buffer of its own: a second pass gives the first one's gradient as well."""

    @staticmethod
    def forward(ctx, weight, indices):
        ctx.buffer = torch.zeros_like(weight)
        return Embedding.forward(ctx, weight, indices)

    @staticmethod
    def backward(ctx, g):
        (indices,) = ctx.saved_tensors
        ctx.buffer.index_add_(0, indices.flatten(), rows(g))
        return ctx.buffer.clone(), None


class SegmentSum(torch.autograd.Function):
    """out[s] = Σ of x's rows whose segment is s."""

    @staticmethod
    def forward(ctx, x, segments, count):
        ctx.save_for_backward(segments)
        return x.new_zeros(count, x.shape[1]).index_add(0, segments, x)

    @staticmethod
    def backward(ctx, g):
        (segments,) = ctx.saved_tensors
        return g[segments], None, None


class SegmentMean(SegmentSum):
    @staticmethod
    def backward(ctx, g):
        (segments,) = ctx.saved_tensors
        return g[segments] / segments.bincount()[segments][:, None], None, None


class SortedSegments(SegmentSum):
    """Takes the segments for sorted."""

    @staticmethod
    def backward(ctx, g):
        (segments,) = ctx.saved_tensors
        return g[segments.sort().values], None, None


class UncheckedSize(SegmentSum):
    """A `reshape` to −1 columns, which could be any number where there is no row."""

    @staticmethod
    def backward(ctx, g):
        (segments,) = ctx.saved_tensors
        return g[segments].reshape(len(segments), -1), None, None
