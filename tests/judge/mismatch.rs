//! A disagreement, made as small as it can be and told so that it can be worked on.

use std::fmt::Write as _;

use stonetown::tuple::{Tuple, TupleKey};

use super::generator::World;
use super::model::{judge, valid};
use super::ways::{Found, Way, Ways};

/// Drops tuples as long as a disagreement stays, and tells what is left of it.
///
/// `asked` answers the question in the world; it disagrees with the judge now.
pub(crate) fn report(seed: u64, mut world: World, question: &TupleKey, way: Way, ways: &mut Ways) -> String {
    let mut asked = |world: &World| ways.answers(way, world, std::slice::from_ref(question)).remove(0);
    let judged = |world: &World| judge(world.program.schema(), &world.tuples, question, world.depth_max);
    let found = asked(&world);
    if found == Ok(judged(&world)) {
        // Only together with the other questions of its world: state was carried over.
        return format!("the answer changes with the questions asked before\n{}", tell(seed, &world, question, way, &found));
    }
    let mut number = 0;
    while number < world.tuples.len() {
        let dropped: Tuple = world.tuples.remove(number);
        if asked(&world) == Ok(judged(&world)) {
            world.tuples.insert(number, dropped);
            number += 1;
        } else {
            // Others may have become droppable.
            number = 0;
        }
    }
    let found = asked(&world);
    tell(seed, &world, question, way, &found)
}

fn tell(seed: u64, world: &World, question: &TupleKey, way: Way, found: &Found) -> String {
    let schema = world.program.schema();
    let mut text = format!("STONETOWN_SEED={seed} STONETOWN_CASES=1 generates this world\n\n{}\n", world.sketch);
    for tuple in &world.tuples {
        let note = if valid(schema, tuple).is_some() { "" } else { "   (not valid under the schema)" };
        let _ = writeln!(text, "{tuple}{note}");
    }
    let judged = judge(schema, &world.tuples, question, world.depth_max);
    let _ = writeln!(text, "\nquestion    {question}");
    let _ = writeln!(text, "depth limit {}", world.depth_max);
    let _ = writeln!(text, "asked       {way:?}");
    let _ = writeln!(text, "judge       {judged:?}");
    let _ = writeln!(text, "evaluator   {found:?}");
    text
}
