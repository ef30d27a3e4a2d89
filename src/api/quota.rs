//! Quotas: how much a store, and a caller, may have read a second. The cost of a request is one, and one for every look into the state
//! and every row that it reads, so a list of ten thousand weighs as much as that many checks. It is known only when the work is over, so a
//! request is admitted while there is anything left, and what it took is taken afterwards, below nothing too.
//!
//! A caller is the holder of a key or token; where nobody has to show one, the address that a connection comes from.

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::error::{ApiError, Code};

/// So many seconds' worth may be saved up.
const SAVED_SECONDS: f64 = 2.0;
/// Accounts that are kept; beyond, those with nothing spent are forgotten.
const ACCOUNTS_MAX: usize = 100_000;

/// What may be spent a second; none: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaRates {
    /// By all requests to one store.
    pub store: Option<u64>,
    /// By all requests of one caller.
    pub caller: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Quotas {
    stores: Option<Accounts<Box<str>>>,
    callers: Option<Accounts<Arc<str>>>,
}

impl Quotas {
    /// None: nothing is limited.
    pub(super) fn of(rates: QuotaRates) -> Option<Quotas> {
        let quotas =
            Quotas { stores: rates.store.map(Accounts::new), callers: rates.caller.map(Accounts::new) };
        (quotas.stores.is_some() || quotas.callers.is_some()).then_some(quotas)
    }

    /// Whether a request may begin now.
    ///
    /// # Errors
    /// Its quota is used up; it says when there will be something again.
    pub(super) fn admit(&self, store: Option<&str>, caller: &Arc<str>) -> Result<(), ApiError> {
        let now = Instant::now();
        let of_store = self.stores.as_ref().zip(store).and_then(|(stores, store)| stores.wait(store, now));
        let of_caller = self.callers.as_ref().and_then(|callers| callers.wait(caller, now));
        let (whose, wait) = match (of_store, of_caller) {
            (None, None) => return Ok(()),
            (Some(wait), of_caller) if of_caller.is_none_or(|other| other < wait) => ("this store", wait),
            (_, wait) => ("this caller", wait.unwrap_or_default()),
        };
        let message = format!("the quota of {whose} is used up for {wait:.1?}");
        Err(ApiError::new(Code::Busy, message).retry_after(wait))
    }

    /// Takes what a request took.
    pub(super) fn charge(&self, store: Option<&str>, caller: &Arc<str>, cost: u64) {
        let now = Instant::now();
        if let Some((stores, store)) = self.stores.as_ref().zip(store) {
            stores.charge(store.into(), cost, now);
        }
        if let Some(callers) = &self.callers {
            callers.charge(Arc::clone(caller), cost, now);
        }
    }
}

/// A token bucket each (J. Turner, 1986), which may be in debt.
#[derive(Debug)]
struct Accounts<K: Eq + Hash> {
    rate: f64,
    accounts: DashMap<K, Account>,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Accounts<K> {
    fn new(rate: u64) -> Accounts<K> {
        Accounts { rate: rate as f64, accounts: DashMap::new() }
    }

    fn left(&self, account: Account, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(account.at).as_secs_f64() * self.rate;
        (account.left + earned).min(self.rate * SAVED_SECONDS)
    }

    /// How long until there is something left; none: there is.
    fn wait<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Instant) -> Option<Duration>
    where
        K: std::borrow::Borrow<Q>,
    {
        let left = self.left(*self.accounts.get(key)?, now);
        (left <= 0.0).then(|| Duration::from_secs_f64((1.0 - left) / self.rate))
    }

    fn charge(&self, key: K, cost: u64, now: Instant) {
        if self.accounts.len() >= ACCOUNTS_MAX {
            self.accounts.retain(|_, account| self.left(*account, now) < self.rate * SAVED_SECONDS);
        }
        let new = Account { left: self.rate * SAVED_SECONDS, at: now };
        let mut account = self.accounts.entry(key).or_insert(new);
        *account = Account { left: self.left(*account, now) - cost as f64, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back_with_time() {
        let accounts: Accounts<&str> = Accounts::new(100);
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        assert_eq!(accounts.wait("a", begun), None, "nothing was taken yet");
        accounts.charge("a", 150, begun);
        assert_eq!(accounts.wait("a", begun), None, "two seconds' worth is saved");
        accounts.charge("a", 550, begun);
        // 500 are owed: five seconds, and one more read.
        assert_eq!(accounts.wait("a", begun), Some(Duration::from_millis(5_010)));
        assert_eq!(accounts.wait("a", after(4_000)), Some(Duration::from_millis(1_010)));
        assert_eq!(accounts.wait("a", after(5_010)), None);
        assert_eq!(accounts.wait("b", begun), None, "another account");
    }

    #[test]
    fn accounts_are_bounded() {
        let accounts: Accounts<u64> = Accounts::new(1_000);
        let begun = Instant::now();
        for key in 0..3 * ACCOUNTS_MAX as u64 {
            accounts.charge(key, 1, begun + Duration::from_micros(10 * key));
        }
        assert!(accounts.accounts.len() <= ACCOUNTS_MAX + 1, "{}", accounts.accounts.len());
    }
}
