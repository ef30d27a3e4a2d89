//! Stores, their heads and schemas, and rows of stores that do not exist.

use std::ops::ControlFlow;

use super::{GO_ON, Run, SetDigest, StoreDigests, Validation};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::rocks::{
    DROPPING, Family, HEAD, HORIZON, NEXT_STORE_KEY, Parts, View, head_key, horizon_key, show,
};
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp};

impl Run<'_> {
    /// The stores of the view, each with a number of its own below the next one to be given out.
    pub(super) fn open_stores(&mut self) -> Result<(), StorageError> {
        let mut records = Vec::new();
        let Run { view, result, .. } = self;
        view.walk(Family::Stores, &[], &mut |key, value| {
            let place = || format!("stores row {}", show(key));
            match key.try_into().map(StoreId::from_bytes) {
                Ok(id) => match codec::decode_store(id, value, &place) {
                    Ok(record) => records.push(record),
                    Err(error) => result.find(place(), error.to_string()),
                },
                Err(_) => result.find(place(), "key is not a store id"),
            }
            GO_ON
        })?;
        for record in records {
            if let Some(other) = self.stores.get(&record.number) {
                let problem = format!("has the number {} of store `{}`", record.number, other.id);
                self.result.find(format!("stores row {}", show(&record.id.to_bytes())), problem);
            } else {
                self.open_store(record.id, record.number)?;
            }
        }
        let next = match self.view.get(Family::Meta, NEXT_STORE_KEY)? {
            Some(bytes) => codec::decode_number(&bytes, &|| "meta next_store".to_owned())?,
            None => 0,
        };
        if let Some((&highest, _)) = self.stores.last_key_value()
            && u64::from(highest) >= next
        {
            let problem = format!("is {next}, store number {highest} is in use");
            self.result.find("meta next_store".to_owned(), problem);
        }
        Ok(())
    }

    fn open_store(&mut self, id: StoreId, number: u32) -> Result<(), StorageError> {
        let mut digests = StoreDigests {
            id,
            forward: SetDigest::default(),
            backward: SetDigest::default(),
            history_forward: SetDigest::default(),
            history_backward: SetDigest::default(),
            begun_rows: SetDigest::default(),
            begun_log: SetDigest::default(),
            ended_rows: SetDigest::default(),
            ended_log: SetDigest::default(),
            horizon: Revision::ZERO,
            head: Revision::ZERO,
            head_time: Timestamp::default(),
            head_schema: None,
        };
        match self.view.get(Family::Meta, &head_key(number))? {
            Some(bytes) => {
                let head = codec::decode_head(&bytes, &|| "meta".to_owned())?;
                (digests.head, digests.head_time, digests.head_schema) =
                    (head.revision, head.time, head.schema);
            }
            None => self.result.find(format!("meta head/{number}"), "is missing"),
        }
        if let Some(bytes) = self.view.get(Family::Meta, &horizon_key(number))? {
            digests.horizon = Revision(codec::decode_number(&bytes, &|| "meta".to_owned())?);
        }
        self.stores.insert(number, digests);
        Ok(())
    }

    /// Rows of stores that do not exist are findings, but for those that are being dropped.
    pub(super) fn orphans(&mut self) -> Result<(), StorageError> {
        for family in Family::OF_STORE {
            let mut start = Vec::new();
            while let Some(key) = first_from(&self.view, family, &start)? {
                let Some(store) = Parts::new(&key).u32() else {
                    self.result.find(format!("{} row {}", family.name(), show(&key)), "key is short");
                    start = [&key[..], &[0]].concat();
                    continue;
                };
                let dropping = [DROPPING, &store.to_be_bytes()].concat();
                if !self.stores.contains_key(&store) && self.view.get(Family::Meta, &dropping)?.is_none() {
                    let place = format!("{} of store number {store}", family.name());
                    self.result.find(place, "belongs to no store");
                }
                match store.checked_add(1) {
                    Some(next) => start = next.to_be_bytes().to_vec(),
                    None => break,
                }
            }
        }
        let Run { view, result, stores } = self;
        for prefix in [HEAD, HORIZON] {
            view.walk(Family::Meta, prefix, &mut |key, _| {
                let number = &key[prefix.len()..];
                let store = Parts::new(number).u32().filter(|_| number.len() == size_of::<u32>());
                if !store.is_some_and(|store| stores.contains_key(&store)) {
                    let store = store.map_or_else(|| show(number), |store| store.to_string());
                    result.find(format!("meta {}{store}", show(prefix)), "belongs to no store");
                }
                GO_ON
            })?;
        }
        Ok(())
    }

    /// Every schema can be read, and was put in force by the revision that wrote it.
    pub(super) fn schemas(&mut self) -> Result<(), StorageError> {
        let Run { view, result, stores } = self;
        for (&store, digests) in stores.iter() {
            let prefix = store.to_be_bytes();
            view.walk(Family::Schemas, &prefix, &mut |key, value| {
                let place = || format!("schemas row {}", show(key));
                let Some(id) = key[prefix.len()..].try_into().ok().map(SchemaId::from_bytes) else {
                    result.find(place(), "key is not one of a schema");
                    return GO_ON;
                };
                let revision = match codec::decode_schema(value, &place) {
                    Ok(value) => Revision(value.revision),
                    Err(error) => {
                        result.find(place(), error.to_string());
                        return GO_ON;
                    }
                };
                let at = [prefix.as_slice(), &revision.0.to_be_bytes()].concat();
                let record = view.get(Family::Revisions, &at)?;
                let written = record.and_then(|bytes| codec::decode_revision(&bytes, &place).ok()?.schema);
                if revision > digests.horizon && written != Some(id) {
                    let problem =
                        format!("was written at {revision}, that revision has no schema of its own");
                    result.find(place(), problem);
                }
                GO_ON
            })?;
        }
        Ok(())
    }
}

/// The first key of a family at or after `start`.
fn first_from(view: &View<'_>, family: Family, start: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    let mut first = None;
    view.walk_from(family, start, &[], &mut |key, _| {
        first = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// What is wrong with the schema in force at a revision. It has to be there; where it is another one than `before`,
/// that revision wrote it.
pub(super) fn schema_problem(
    view: &View<'_>,
    store: u32,
    revision: Revision,
    schema: Option<SchemaId>,
    before: Option<Option<SchemaId>>,
) -> Result<Option<String>, StorageError> {
    let changes = before.is_some_and(|before| before != schema);
    let Some(id) = schema else {
        return Ok(changes.then(|| "the schema in force changes to none".to_owned()));
    };
    let key = [store.to_be_bytes().as_slice(), &id.to_bytes()].concat();
    let Some(bytes) = view.get(Family::Schemas, &key)? else {
        return Ok(Some(format!("its schema `{id}` is missing")));
    };
    // One that cannot be read is found among the schemas.
    let Ok(value) = codec::decode_schema(&bytes, &String::new) else { return Ok(None) };
    let written = value.revision;
    let problem = || format!("the schema in force changes to `{id}`, which revision {written} wrote");
    Ok((changes && written != revision.0).then(problem))
}

/// Holds the head against the record of its revision.
pub(super) fn hold_head(
    result: &mut Validation,
    store: u32,
    head: &StoreDigests,
    time: Timestamp,
    schema: Option<SchemaId>,
) {
    let place = || format!("meta head/{store}");
    let name = |schema: Option<SchemaId>| schema.map_or_else(|| "none".to_owned(), |id| format!("`{id}`"));
    if head.head_time != time {
        result.find(place(), format!("says time {}, its revision says {time}", head.head_time));
    }
    if head.head_schema != schema {
        let problem = format!("says schema {}, its revision says {}", name(head.head_schema), name(schema));
        result.find(place(), problem);
    }
}
