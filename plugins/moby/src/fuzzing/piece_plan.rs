//! How a stream is divided.

/// The number of pieces after which the rest is one, so that a long stream does not
/// take long.
const MAX_PIECES: usize = 2000;

/// The sizes of the pieces in which a stream arrives, which are repeated.
#[derive(Clone, Copy)]
pub(crate) struct PiecePlan([u8; 4]);

impl PiecePlan {
    /// Takes the plan and a byte for other choices from the beginning of an input.
    pub(crate) fn split(data: &[u8]) -> Option<(u8, Self, &[u8])> {
        let ([choice, plan @ ..], rest) = data.split_first_chunk::<5>()?;
        Some((*choice, Self(*plan), rest))
    }

    /// Returns the pieces of `stream`. Their sizes are around the powers of two up to
    /// 128 KiB.
    pub(crate) fn pieces(self, mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
        let sizes = self.0.into_iter().cycle().take(MAX_PIECES).map(usize::from);
        let sizes = sizes.map(|size| (1 << (size % 18)) + size / 18);
        let mut sizes = sizes.chain([usize::MAX]);
        std::iter::from_fn(move || {
            let size = sizes.next()?;
            let (piece, rest) = stream.split_at(size.min(stream.len()));
            stream = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
