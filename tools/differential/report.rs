//! What a run found: counts, classes, and an example of each.

use std::collections::BTreeMap;
use std::fmt;

use crate::PEER;
use crate::answer::Answer;
use crate::class::Class;
use crate::server::NoAnswer;
use crate::shrink::Difference;
use crate::world::{Ask, World};

/// Worlds of a class that are made smaller, to find the smallest.
const EXAMPLES: usize = 1;

/// What a run found.
#[derive(Default)]
pub(crate) struct Report {
    /// Questions asked.
    pub(crate) questions: usize,
    /// Worlds asked about.
    pub(crate) worlds: usize,
    /// Worlds that were given up, because a server did not answer.
    pub(crate) unanswered: Vec<u64>,
    /// By verb and answer: of how many.
    kinds: BTreeMap<(&'static str, &'static str), usize>,
    /// Differences by class; of them, those where neither answer is an error.
    classes: BTreeMap<Class, (usize, usize)>,
    examples: BTreeMap<Class, Vec<(u64, Difference)>>,
    /// Schemas and tuples that one takes and the other does not.
    refusals: BTreeMap<Class, usize>,
    refused: BTreeMap<Class, String>,
}

impl Report {
    /// Counts a question.
    pub(crate) fn asked(&mut self, ask: &Ask, ours: &Answer, peer: &Answer) {
        self.questions += 1;
        let kind = match (ours, peer) {
            (Answer::Error(..), it) if it.is_undecided() => "undecided",
            (Answer::Error(..), Answer::Error(..)) => "error twice",
            (Answer::Error(..), _) | (_, Answer::Error(..)) => "error once",
            (Answer::Allowed(true), _) => "yes",
            (Answer::Allowed(false), _) => "no",
            (Answer::List(all), _) if all.is_empty() => "empty",
            (Answer::List(_), _) => "list",
        };
        *self.kinds.entry((ask.verb(), kind)).or_default() += 1;
    }

    /// Takes a difference.
    pub(crate) fn differs(&mut self, seed: u64, difference: Difference) {
        let (all, decided) = self.classes.entry(difference.class.clone()).or_default();
        *all += 1;
        *decided += usize::from(!difference.has_error());
        let examples = self.examples.entry(difference.class.clone()).or_default();
        examples.push((seed, difference));
        // The ones that say most, and look smallest.
        examples.sort_by_key(|(_, it)| (it.has_error(), it.world.tuples.len() + it.world.types.len()));
        examples.truncate(EXAMPLES);
    }

    /// Takes a schema or a tuple that only one of both refuses.
    pub(crate) fn refused(&mut self, seed: u64, world: &World, tuple: Option<usize>, by_us: bool, why: &str) {
        let who = if by_us { "we" } else { PEER };
        let what = match tuple.and_then(|at| world.tuples.get(at)) {
            Some(tuple) => tuple.to_string(),
            None => world.text(),
        };
        let class = crate::classify::of_refusal(world, tuple.is_none(), by_us, why);
        *self.refusals.entry(class.clone()).or_default() += 1;
        self.refused.entry(class).or_insert(format!("seed {seed}: {who} refuse: {why}\n{what}\n"));
    }

    /// Differences so far.
    pub(crate) fn differences(&self) -> usize {
        self.classes.values().map(|(all, _)| all).sum()
    }

    /// Makes the examples smaller.
    pub(crate) fn examples(
        &mut self,
        shrink: &mut dyn FnMut(&Difference) -> anyhow::Result<Difference>,
    ) -> anyhow::Result<()> {
        for all in self.examples.values_mut() {
            for (_, difference) in all.iter_mut() {
                match shrink(difference) {
                    Err(error) if error.is::<NoAnswer>() => {}
                    smaller => *difference = smaller?,
                }
            }
            let size = |it: &Difference| it.world.text().len() + it.world.tuples.len() * 40;
            all.sort_by_key(|(_, it)| size(it));
            all.truncate(1);
        }
        Ok(())
    }

    /// How many differences and refusals belong to no class.
    pub(crate) fn unclassified(&self) -> usize {
        let is_odd = |class: &Class| matches!(class, Class::Unclassified(_));
        self.classes.iter().filter(|(class, _)| is_odd(class)).map(|(_, (all, _))| all).sum::<usize>()
            + self.refusals.iter().filter(|(class, _)| is_odd(class)).map(|(_, all)| all).sum::<usize>()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} questions in {} worlds", self.questions, self.worlds)?;
        if !self.unanswered.is_empty() {
            writeln!(f, "given up, no answer: seeds {:?}", self.unanswered)?;
        }
        for ((verb, kind), count) in &self.kinds {
            writeln!(f, "  {verb:<14}{kind:<14}{count:>7}")?;
        }
        let all: usize = self.classes.values().map(|(all, _)| all).sum();
        let decided: usize = self.classes.values().map(|(_, decided)| decided).sum();
        writeln!(f, "{all} differences, {decided} of them between two answers that are no errors")?;
        let mut excuses: BTreeMap<&str, usize> = BTreeMap::new();
        for (class, (_, decided)) in &self.classes {
            if let Some(excuse) = crate::classify::excuse(class) {
                *excuses.entry(excuse).or_default() += decided;
            }
        }
        for (excuse, count) in &excuses {
            writeln!(f, "  {count:>5} of these: {excuse}")?;
        }
        let rest = decided - excuses.values().sum::<usize>();
        writeln!(f, "  {rest:>5} of these: both answers could be meant")?;
        for (class, (all, decided)) in &self.classes {
            writeln!(f, "{all:>7} ({decided} without an error)  {class}")?;
        }
        for (class, all) in &self.refusals {
            writeln!(f, "{all:>7} refused by one  {class}")?;
        }
        writeln!(f, "{} unclassified", self.unclassified())?;
        for (class, examples) in &self.examples {
            for (seed, it) in examples {
                writeln!(f, "\n--- {class} (seed {seed})\n{}", it.world.text())?;
                it.world.tuples.iter().try_for_each(|tuple| writeln!(f, "{tuple}"))?;
                let width = PEER.len() + 1;
                writeln!(f, "{}\n  {PEER}: {}\n  {:<width$} {}", it.question, it.peer, "we:", it.ours)?;
            }
        }
        for (class, example) in &self.refused {
            writeln!(f, "\n--- refused by one: {class}\n{example}")?;
        }
        Ok(())
    }
}
