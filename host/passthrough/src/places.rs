//! How many streams there may be, in total and of one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::refusal::Refusal;

/// Counts open streams. The lock is held for a look-up and an addition only,
/// never across an await, and no reconciler takes it.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<String, usize>>>);

impl Places {
    /// Takes a place for `user`, given back when it is dropped.
    pub(crate) fn take(&self, user: &str) -> Result<Place, Refusal> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= limits::STREAMS_TOTAL {
            return Err(Refusal::TooMany {
                limit: limits::STREAMS_TOTAL,
            });
        }
        let of_user = taken.entry(user.to_owned()).or_default();
        if *of_user >= limits::STREAMS_PER_USER {
            return Err(Refusal::TooMany {
                limit: limits::STREAMS_PER_USER,
            });
        }
        *of_user += 1;
        Ok(Place {
            places: self.clone(),
            user: user.to_owned(),
        })
    }
}

/// One open stream's place.
pub(crate) struct Place {
    places: Places,
    user: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_every_place_and_places_come_back() {
        let places = Places::default();
        let mut held: Vec<_> = (0..limits::STREAMS_PER_USER)
            .map(|_| places.take("a").unwrap())
            .collect();
        assert!(places.take("a").is_err());
        let others: Vec<_> = (limits::STREAMS_PER_USER..limits::STREAMS_TOTAL)
            .map(|_| places.take("b").unwrap())
            .collect();
        assert!(places.take("c").is_err(), "the total is a limit of its own");
        held.pop();
        assert!(places.take("c").is_ok());
        drop((held, others));
        assert!(places.0.lock().unwrap().is_empty());
    }
}
