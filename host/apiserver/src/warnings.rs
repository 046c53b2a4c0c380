//! The warnings of a request.

use std::sync::{Mutex, PoisonError};

use crate::limits;

/// Collects the texts for the `Warning` headers of a response, whether the request
/// succeeds or not. Each text occurs once, so an attempt that is repeated after a
/// conflict may add its own again.
#[derive(Debug, Default)]
pub(crate) struct WarningRecorder {
    texts: Mutex<Vec<String>>,
}

impl WarningRecorder {
    /// Adds a text. What exceeds the limit of a response by more than one is left
    /// out: one text is enough to say that there are more.
    pub(crate) fn add(&self, text: String) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() <= limits::MAX_WARNINGS && !texts.contains(&text) {
            texts.push(text);
        }
    }

    /// Takes the texts, in their order.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_kept_once_up_to_one_more_than_the_limit() {
        let warnings = WarningRecorder::default();
        for _ in 0..2 {
            for number in 0..limits::MAX_WARNINGS * 2 {
                warnings.add(number.to_string());
            }
        }
        let texts = warnings.take();
        let expected: Vec<_> = (0..=limits::MAX_WARNINGS)
            .map(|it| it.to_string())
            .collect();
        assert_eq!(texts, expected);
        assert!(warnings.take().is_empty());
    }
}
