//! How many streams there may be, in total and of one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::refusal::Refusal;

/// Counts open streams. The lock is held for a look-up and an addition only,
/// never across an await, and no reconciler takes it.
#[derive(Clone)]
pub(crate) struct Places {
    total: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

impl Places {
    /// At most `total` at once, and at most [`limits::STREAMS_TOTAL`].
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total: total.min(limits::STREAMS_TOTAL),
            taken: Arc::default(),
        }
    }

    /// One user cannot take every place, also where there are few.
    fn per_user(&self) -> usize {
        (self.total * limits::STREAMS_PER_USER / limits::STREAMS_TOTAL).max(1)
    }

    /// Takes a place for `user`, given back when it is dropped.
    pub(crate) fn take(&self, user: &str) -> Result<Place, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.total {
            return Err(Refusal::TooMany { limit: self.total });
        }
        let of_user = taken.entry(user.to_owned()).or_default();
        if *of_user >= self.per_user() {
            return Err(Refusal::TooMany {
                limit: self.per_user(),
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
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        let places = Places::new(limits::STREAMS_TOTAL);
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
        assert!(places.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn where_there_are_few_places_one_user_still_cannot_take_all() {
        let places = Places::new(8);
        let held: Vec<_> = (0..6).map(|_| places.take("a").unwrap()).collect();
        assert!(places.take("a").is_err());
        let others: Vec<_> = (0..2).map(|_| places.take("b").unwrap()).collect();
        assert!(places.take("c").is_err());
        drop((held, others));
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(Places::new(usize::MAX).total, limits::STREAMS_TOTAL);
    }
}
