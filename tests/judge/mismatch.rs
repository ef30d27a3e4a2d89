//! A disagreement, made as small as it can be and told so that it can be worked on.

use std::fmt::Write as _;

use stonetown::schema::resolved::Schema;
use stonetown::tuple::{Subject, TupleKey};

use super::generator::World;
use super::model::{judge, valid};
use super::ways::{Found, Way, Ways};

/// A question on which the judge and one way of asking disagree.
pub(crate) struct Mismatch<'w> {
    /// Of the world.
    pub(crate) seed: u64,
    /// What is asked.
    pub(crate) question: &'w TupleKey,
    /// How.
    pub(crate) way: Way,
    /// What answers.
    pub(crate) ways: &'w mut Ways,
}

impl Mismatch<'_> {
    /// Simplifies the world as long as the disagreement stays, and tells what is left of it.
    pub(crate) fn report(mut self, mut world: World) -> String {
        let found = self.ask(&world);
        if found == self.judge(&world) {
            // Only together with the other questions of its world: something was carried over.
            return format!(
                "the answer changes with the questions asked before\n{}",
                self.tell(&world, &found)
            );
        }
        self.drop_tuples(&mut world);
        while let Some(simpler) = self.simpler(&world) {
            world = simpler;
        }
        self.drop_tuples(&mut world);
        let found = self.ask(&world);
        self.tell(&world, &found)
    }

    fn ask(&mut self, world: &World) -> Found {
        self.ways.answers(self.way, world, std::slice::from_ref(self.question)).remove(0)
    }

    fn judge(&self, world: &World) -> Found {
        Ok(judge(world.program.schema(), &world.tuples, self.question, world.depth_max))
    }

    fn disagrees(&mut self, world: &World) -> bool {
        Way::of(world).contains(&self.way) && self.ask(world) != self.judge(world)
    }

    /// Drops every tuple without which the disagreement stays.
    fn drop_tuples(&mut self, world: &mut World) {
        let mut number = 0;
        while number < world.tuples.len() {
            let dropped = world.tuples.remove(number);
            if self.disagrees(world) {
                // Others may have become droppable.
                number = 0;
            } else {
                world.tuples.insert(number, dropped);
                number += 1;
            }
        }
    }

    /// A world with a simpler schema in which the disagreement stays.
    fn simpler(&mut self, world: &World) -> Option<World> {
        let simpler = world.sketch.simpler().into_iter().filter_map(|sketch| world.under(sketch));
        let mut askable = simpler.filter(|simpler| can_be_asked(simpler.program.schema(), self.question));
        askable.find(|simpler| self.disagrees(simpler))
    }

    fn tell(&self, world: &World, found: &Found) -> String {
        let seed = self.seed;
        let schema = world.program.schema();
        let mut text =
            format!("STONETOWN_SEED={seed} STONETOWN_CASES=1 generates it, larger\n\n{}\n", world.sketch);
        for tuple in &world.tuples {
            let note = if valid(schema, tuple).is_some() { "" } else { "   (not valid under the schema)" };
            let _ = writeln!(text, "{tuple}{note}");
        }
        let judged = judge(schema, &world.tuples, self.question, world.depth_max);
        let _ = writeln!(text, "\nquestion    {}", self.question);
        let _ = writeln!(text, "depth limit {}", world.depth_max);
        let _ = writeln!(text, "asked       {:?}", self.way);
        let _ = writeln!(text, "judge       {judged:?}");
        let _ = writeln!(text, "evaluator   {found:?}");
        text
    }
}

/// Whether a schema has all types and relations that a question names.
fn can_be_asked(schema: &Schema, question: &TupleKey) -> bool {
    let has = |type_name: &str, relation: &str| {
        schema.type_named(type_name).is_some_and(|of| schema.relation_named(of, relation).is_some())
    };
    has(question.object.object_type(), question.relation.as_str())
        && match &question.subject {
            Subject::Userset(object, relation) => has(object.object_type(), relation.as_str()),
            other => schema.type_named(other.subject_type()).is_some(),
        }
}
