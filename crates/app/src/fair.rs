//! A queue in which tenants take turns: however much one of them asks, the next one waits for one of its jobs, not for all.
//!
//! Invariant: bounded, and one tenant never has more than half of the places.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// See the module.
#[derive(Debug)]
pub struct Turns<K, T> {
    /// Tenants with something waiting, in the order of their turns.
    order: VecDeque<K>,
    waiting: HashMap<K, VecDeque<T>>,
    count: usize,
    most: usize,
}

/// There is no room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<K: Copy + Eq + Hash, T> Turns<K, T> {
    /// A queue of `most` places, at least two.
    pub fn new(most: usize) -> Self {
        Self { order: VecDeque::new(), waiting: HashMap::new(), count: 0, most: most.max(2) }
    }

    /// How many wait.
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one more of `tenant`'s would find a place after those that are promised: so many to the tenant, so many to all.
    pub fn has_room(&self, tenant: K, promised_own: usize, promised: usize) -> bool {
        let own = self.waiting.get(&tenant).map_or(0, VecDeque::len);
        self.count + promised < self.most && own + promised_own < self.most / 2
    }

    /// Puts `item` at the end of its tenant's line.
    ///
    /// # Errors
    /// [`Full`] when no place is left, or the tenant has half of them.
    pub fn push(&mut self, tenant: K, item: T) -> Result<(), Full> {
        if !self.has_room(tenant, 0, 0) {
            return Err(Full);
        }
        let line = self.waiting.entry(tenant).or_default();
        if line.is_empty() {
            self.order.push_back(tenant);
        }
        line.push_back(item);
        self.count += 1;
        Ok(())
    }

    /// Takes the first of the tenant whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_if(|_| true)
    }

    /// Like [`Self::pop`], passing over tenants that may not be served now: they keep their turn.
    pub fn pop_if(&mut self, may_be_served: impl Fn(&K) -> bool) -> Option<T> {
        let at = self.order.iter().position(may_be_served)?;
        let tenant = self.order.remove(at)?;
        let line = self.waiting.get_mut(&tenant)?;
        let item = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        self.count -= usize::from(item.is_some());
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns_however_much_one_of_them_asks() {
        let mut turns = Turns::new(100);
        for (who, times) in [(1, 5), (2, 1), (3, 2)] {
            for _ in 0..times {
                turns.push(who, who).expect("there is room");
            }
        }
        assert_eq!(turns.len(), 8);
        assert_eq!(turns.pop_if(|who| *who == 2), Some(2), "whoever is passed over");
        assert_eq!(turns.pop_if(|who| *who == 2), None);
        assert_eq!(std::iter::from_fn(|| turns.pop()).collect::<Vec<_>>(), [1, 3, 1, 3, 1, 1, 1], "keeps its turn");
        assert!(turns.is_empty());
    }

    #[test]
    fn one_tenant_has_at_most_half_of_the_places() {
        let mut turns = Turns::new(4);
        assert_eq!([turns.push(1, 1), turns.push(1, 2), turns.push(1, 3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!([turns.push(2, 4), turns.push(3, 5), turns.push(4, 6)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(turns.pop(), Some(1));
        assert_eq!(turns.push(4, 6), Ok(()));
    }
}
