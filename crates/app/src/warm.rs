//! A bounded map of what is in use, for things that can be had again from the database.
//!
//! Reading is a look into a lock-free map and two relaxed stores. When the map is full the newcomers that nobody came back for
//! leave first, then whoever was used longest ago: somebody who asks for everything once does not push out what is really used.
//!
//! Invariant: holds at most `most` entries and a sixteenth, whatever is asked for.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use domain::time::{Timestamp, Ttl};

/// Whoever is used again this long after coming is a regular.
const COMES_BACK: Ttl = Ttl::seconds(10);

/// An entry, and what is known of its use.
#[derive(Debug)]
pub struct Warm<V> {
    pub value: V,
    came_at: Timestamp,
    last_used: AtomicI64,
    is_regular: AtomicBool,
}

impl<V> Warm<V> {
    const fn new(value: V, now: Timestamp) -> Self {
        Self { value, came_at: now, last_used: AtomicI64::new(now.as_micros()), is_regular: AtomicBool::new(false) }
    }

    /// Counts a use at `now`.
    pub fn touch(&self, now: Timestamp) {
        self.last_used.store(now.as_micros(), Ordering::Relaxed);
        if !self.is_regular() && now >= self.came_at.plus(COMES_BACK) {
            self.keep();
        }
    }

    /// Makes it a regular at once: it has proved that it is really used.
    pub fn keep(&self) {
        self.is_regular.store(true, Ordering::Relaxed);
    }

    pub fn is_regular(&self) -> bool {
        self.is_regular.load(Ordering::Relaxed)
    }

    pub fn last_used(&self) -> Timestamp {
        Timestamp::from_micros(self.last_used.load(Ordering::Relaxed))
    }
}

/// Readies the maps' memory reclamation. On Linux it registers with the kernel once, which costs some 20 ms in a process that has
/// threads and nothing in one that has none yet: call it first in `main`.
pub fn before_threads() {
    let _ = papaya::HashMap::<u8, u8>::new().pin().get(&0);
}

/// Who left, and under which key.
pub type Leavers<K, V> = Vec<(K, Arc<Warm<V>>)>;

/// See the module.
pub struct WarmMap<K, V> {
    map: papaya::HashMap<K, Arc<Warm<V>>>,
    most: usize,
    /// One thread at a time looks for who leaves; the others go on.
    is_evicting: AtomicBool,
}

impl<K: Hash + Eq, V> std::fmt::Debug for WarmMap<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WarmMap").field("len", &self.map.len()).field("most", &self.most).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V> WarmMap<K, V> {
    /// A map of at most `most` entries (at least 16) and a sixteenth.
    pub fn new(most: usize) -> Self {
        Self { map: papaya::HashMap::new(), most: most.max(16), is_evicting: AtomicBool::new(false) }
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The entry, without counting a use.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Warm<V>>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.map.pin().get(key).cloned()
    }

    /// The entry that is there, or one made now; and who had to leave for it. Of several made at once one is kept.
    pub fn find_or_put(&self, key: K, now: Timestamp, make: impl FnOnce() -> V) -> (Arc<Warm<V>>, Leavers<K, V>) {
        let entry = Arc::new(Warm::new(make(), now));
        let found = Arc::clone(self.map.pin().get_or_insert_with(key, || Arc::clone(&entry)));
        let leavers = if Arc::ptr_eq(&found, &entry) { self.make_room(&entry) } else { Vec::new() };
        (found, leavers)
    }

    /// Puts `value` in place of what is there, which keeps its standing; and who had to leave for it.
    pub fn put(&self, key: K, now: Timestamp, value: V) -> Leavers<K, V> {
        let map = self.map.pin();
        let mut entry = Warm::new(value, now);
        if let Some(before) = map.get(&key) {
            entry.came_at = before.came_at;
            entry.touch(now);
            entry.is_regular.store(before.is_regular() || entry.is_regular(), Ordering::Relaxed);
        }
        let entry = Arc::new(entry);
        map.insert(key, Arc::clone(&entry));
        self.make_room(&entry)
    }

    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Warm<V>>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.map.pin().remove(key).cloned()
    }

    /// Takes exactly this entry out, not a successor. Answers whether it was there.
    pub fn remove_exactly(&self, key: &K, entry: &Arc<Warm<V>>) -> bool {
        matches!(self.map.pin().remove_if(key, |_, found| Arc::ptr_eq(found, entry)), Ok(Some(_)))
    }

    /// Takes out whoever was last used before `since`.
    pub fn take_idle(&self, since: Timestamp) -> Leavers<K, V> {
        let idle = self.collect(|entry| entry.last_used() < since);
        self.take(idle)
    }

    /// Takes out all.
    pub fn take_all(&self) -> Leavers<K, V> {
        let all = self.collect(|_| true);
        self.take(all)
    }

    /// All keys; those that come or go meanwhile may be missing.
    pub fn keys(&self) -> Vec<K> {
        self.map.pin().keys().cloned().collect()
    }

    /// Shows each entry; those that come or go meanwhile may be missing.
    pub fn for_each(&self, mut look: impl FnMut(&V)) {
        self.map.pin().values().for_each(|entry| look(&entry.value));
    }

    fn collect(&self, wanted: impl Fn(&Warm<V>) -> bool) -> Leavers<K, V> {
        let map = self.map.pin();
        map.iter().filter(|(_, entry)| wanted(entry)).map(|(key, entry)| (key.clone(), Arc::clone(entry))).collect()
    }

    fn take(&self, mut chosen: Leavers<K, V>) -> Leavers<K, V> {
        chosen.retain(|(key, entry)| self.remove_exactly(key, entry));
        chosen
    }

    /// When the map is a sixteenth over its bound, brings it back to the bound, in one pass for all of them.
    fn make_room(&self, newest: &Arc<Warm<V>>) -> Leavers<K, V> {
        if self.map.len() <= self.most + self.most / 16 || self.is_evicting.swap(true, Ordering::Acquire) {
            return Vec::new();
        }
        let mut all = self.collect(|entry| !std::ptr::eq(entry, &raw const **newest));
        let too_many = (all.len() + 1).saturating_sub(self.most);
        let place = |entry: &Warm<V>| (entry.is_regular(), entry.last_used());
        if too_many < all.len() {
            let _ = all.select_nth_unstable_by_key(too_many, |(_, entry)| place(entry));
        }
        all.truncate(too_many);
        let gone = self.take(all);
        self.is_evicting.store(false, Ordering::Release);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_000_000 + second)
    }

    #[test]
    fn a_scan_of_everything_does_not_push_out_what_is_used() {
        let map = WarmMap::new(1_600);
        for tenant in 0..1_000_u32 {
            map.find_or_put(tenant, at(0), || ());
        }
        for tenant in 0..900 {
            map.find(&tenant).expect("there").touch(at(20));
        }
        map.find(&950).expect("there").keep();
        for crawled in 1_000..100_000 {
            let (entry, _) = map.find_or_put(crawled, at(30), || ());
            entry.touch(at(31));
            assert!(map.len() <= 1_700);
        }
        assert!((0..900).all(|tenant| map.find(&tenant).is_some()));
        assert!(map.find(&950).is_some());
        assert!((900..950).all(|tenant| map.find(&tenant).is_none()), "they never came back");
    }

    #[test]
    fn among_regulars_the_one_used_longest_ago_leaves_first() {
        let map = WarmMap::new(16);
        let mut gone = Vec::new();
        for number in 0..18_u8 {
            let (entry, leavers) = map.find_or_put(number, at(0), || ());
            entry.keep();
            entry.touch(at(100 - i64::from(number)));
            gone.extend(leavers.into_iter().map(|(key, _)| key));
        }
        gone.sort_unstable();
        assert_eq!(map.len(), 16);
        assert_eq!(gone, [15, 16], "not the newest, for which room was made");
    }

    #[test]
    fn an_entry_is_taken_out_only_if_it_is_the_same_one() {
        let map = WarmMap::new(16);
        let (first, _) = map.find_or_put("a", at(0), || 1);
        map.put("a", at(0), 2);
        assert!(!map.remove_exactly(&"a", &first));
        assert_eq!(map.find("a").map(|entry| entry.value), Some(2));
        assert_eq!(map.take_idle(at(0)).len(), 0);
        assert_eq!(map.take_idle(at(1)).len(), 1);
        assert!(map.is_empty());
    }

    #[test]
    fn a_value_put_in_place_of_another_keeps_its_standing() {
        let map = WarmMap::new(16);
        map.put("a", at(0), 1);
        map.put("a", at(5), 2);
        assert!(!map.find("a").expect("there").is_regular());
        map.put("a", at(10), 3);
        assert!(map.find("a").expect("there").is_regular());
    }

    #[test]
    fn many_threads_never_hold_more_than_the_bound() {
        let map = WarmMap::new(64);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let map = &map;
                scope.spawn(move || {
                    for number in 0..5_000 {
                        map.find_or_put(number * 4 + thread, at(0), || ());
                    }
                });
            }
        });
        // Whoever comes while another makes room is counted at the next one.
        map.find_or_put(u32::MAX, at(0), || ());
        assert!(map.len() <= 64 + 64 / 16, "{}", map.len());
    }
}
