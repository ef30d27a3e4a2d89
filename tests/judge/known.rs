//! Cases with answers worked out by hand: the judge is judged.

use stonetown::eval::Program;
use stonetown::schema::read_schema;
use stonetown::tuple::{Tuple, TupleKey};

use super::generator::World;
use super::model::Verdict::{self, No, TooDeep, Yes};
use super::model::judge;
use super::sketch::Sketch;
use super::ways::{ask, contextual};

/// A schema by its types, tuples one a line, and answers: `QUESTION` at a depth limit.
#[track_caller]
fn holds(types: &str, tuples: &str, answers: &[(&str, u32, Verdict)]) {
    let text = format!("model\n  schema 1.1\n\n{types}");
    let (tree, schema) = read_schema("case", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let tuples: Vec<Tuple> = tuples
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap())
        .collect();
    let world =
        World { sketch: Sketch::default(), tree, program: Program::new(schema), tuples, depth_max: 25 };
    let state = contextual(&world.tuples);
    for (question, depth_max, verdict) in answers {
        let question: TupleKey = question.parse().unwrap();
        let judged = judge(world.program.schema(), &world.tuples, &question, *depth_max);
        assert_eq!(judged, *verdict, "the judge, {question} at {depth_max}");
        let found = ask(&world, &state, &question, *depth_max);
        assert_eq!(found, Ok(*verdict), "the evaluator, {question} at {depth_max}");
    }
}

#[test]
fn direct_tuples_name_one_everybody_or_a_userset() {
    holds(
        "type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define viewer: [user, user:*, group#member]",
        "doc:1#viewer@user:anne
         doc:2#viewer@user:*
         doc:3#viewer@group:a#member
         group:a#member@group:b#member
         group:b#member@user:bea",
        &[
            ("doc:1#viewer@user:anne", 25, Yes),
            ("doc:1#viewer@user:bea", 25, No),
            ("doc:1#viewer@user:*", 25, No),
            ("doc:2#viewer@user:anne", 25, Yes),
            ("doc:2#viewer@user:*", 25, Yes),
            // Everybody of a type is no userset, and no object of another type.
            ("doc:2#viewer@group:a#member", 25, No),
            ("doc:2#viewer@doc:1", 25, No),
            ("doc:3#viewer@user:bea", 25, Yes),
            ("doc:3#viewer@group:a#member", 25, Yes),
            ("doc:3#viewer@group:b#member", 25, Yes),
            ("doc:3#viewer@group:c#member", 25, No),
            // A userset is itself, on an object that nothing is known of too.
            ("doc:9#viewer@doc:9#viewer", 25, Yes),
            ("doc:9#viewer@doc:8#viewer", 25, No),
        ],
    );
}

#[test]
fn tuples_that_the_schema_does_not_allow_do_not_count() {
    holds(
        "type user
type group
  relations
    define member: [user]
    define alias: member
type folder
  relations
    define viewer: [user]
type doc
  relations
    define parent: [folder]
    define owner: [user]
    define viewer: [group#member] or owner or viewer from parent",
        "doc:1#viewer@user:anne
         doc:1#viewer@user:*
         doc:1#viewer@group:a#alias
         doc:1#owner@user:anne with office
         doc:1#editor@user:anne
         doc:1#parent@group:a
         doc:1#parent@folder:a#viewer
         doc:1#parent@ghost:a
         group:a#member@user:anne
         group:a#alias@user:anne
         folder:a#viewer@user:anne
         doc:2#parent@folder:a",
        &[
            ("doc:1#viewer@user:anne", 25, No),
            ("doc:1#viewer@group:a#alias", 25, No),
            ("group:a#alias@user:anne", 25, Yes),
            ("doc:2#viewer@user:anne", 25, Yes),
        ],
    );
}

#[test]
fn cycles_prove_nothing() {
    holds(
        "type user
type group
  relations
    define member: [user, group#member]
    define other: [user] but not member",
        "group:a#member@group:b#member
         group:b#member@group:a#member
         group:b#member@group:c#member
         group:c#member@user:anne
         group:a#other@user:bea",
        &[
            ("group:a#member@user:anne", 25, Yes),
            ("group:a#member@user:bea", 25, No),
            // What only a cycle could hold against it is not held against it.
            ("group:a#other@user:bea", 25, Yes),
        ],
    );
}

/// A position is won when a move leads to one that is not won: the classic of programs with denial.
#[test]
fn a_position_is_won_when_a_move_leads_to_one_that_is_not() {
    holds(
        "type user
type position
  relations
    define moves: [position]
    define player: [user:*]
    define stuck: [user] or won from moves
    define open: player but not stuck
    define won: [user] or open from moves",
        "position:a#moves@position:b
         position:b#moves@position:c
         position:c#moves@position:d
         position:x#moves@position:y
         position:y#moves@position:x
         position:z#moves@position:x
         position:z#moves@position:d
         position:a#player@user:*
         position:b#player@user:*
         position:c#player@user:*
         position:d#player@user:*
         position:x#player@user:*
         position:y#player@user:*
         position:z#player@user:*",
        &[
            // d has no move: it is open, and c is won, over one hop.
            ("position:d#open@user:anne", 25, Yes),
            ("position:d#won@user:anne", 25, No),
            ("position:c#won@user:anne", 25, Yes),
            // b's only move leads to c; what stands open there is not taken back by d.
            ("position:c#open@user:anne", 25, Yes),
            ("position:b#open@user:anne", 25, No),
            ("position:a#won@user:anne", 25, No),
            ("position:b#won@user:anne", 25, Yes),
            // x and y deny each other; z has a way out.
            ("position:x#open@user:anne", 25, No),
            ("position:y#open@user:anne", 25, No),
            ("position:x#won@user:anne", 25, No),
            ("position:z#won@user:anne", 25, Yes),
            // Nobody plays for a userset.
            ("position:d#open@position:d#won", 25, No),
        ],
    );
}

#[test]
fn what_could_be_true_only_through_its_own_denial_is_no() {
    holds(
        "type user
type doc
  relations
    define twin: [doc]
    define base: [user]
    define mine: [user] or yours from twin
    define yours: base but not mine
    define seen: base but not yours",
        "doc:a#twin@doc:b
         doc:b#twin@doc:a
         doc:a#base@user:anne
         doc:b#base@user:anne
         doc:c#twin@doc:c
         doc:c#base@user:anne
         doc:d#base@user:anne",
        &[
            // Each yours is true when the other is not.
            ("doc:a#yours@user:anne", 25, No),
            ("doc:a#mine@user:anne", 25, No),
            // It is not a decided no: nothing may be concluded from it.
            ("doc:a#seen@user:anne", 25, No),
            ("doc:c#yours@user:anne", 25, No),
            ("doc:c#seen@user:anne", 25, No),
            ("doc:d#yours@user:anne", 25, Yes),
            ("doc:d#seen@user:anne", 25, No),
        ],
    );
}

/// `not (not it)` is undecided, whether or not the operand has a name: names change nothing.
#[test]
fn a_name_for_an_operand_changes_no_answer() {
    let tuples = "doc:a#twin@doc:a
                  doc:a#base@user:anne";
    let answers = [("doc:a#it@user:anne", 25, No), ("doc:a#other@user:anne", 25, No)];
    holds(
        "type user
type doc
  relations
    define twin: [doc]
    define base: [user]
    define over: [user] or it from twin
    define it: base but not (base but not over)
    define other: base but not it",
        tuples,
        &answers,
    );
    holds(
        "type user
type doc
  relations
    define twin: [doc]
    define base: [user]
    define over: [user] or it from twin
    define inner: base but not over
    define it: base but not inner
    define other: base but not it",
        tuples,
        &answers,
    );
}

#[test]
fn exclusion_takes_away_by_wildcard_and_from_a_wildcard() {
    holds(
        "type user
type group
  relations
    define member: [user]
type doc
  relations
    define blocked: [user, user:*, group#member]
    define viewer: [user, user:*, group#member] but not blocked",
        "doc:1#viewer@user:*
         doc:1#blocked@user:anne
         doc:2#viewer@user:anne
         doc:2#blocked@user:*
         doc:3#viewer@group:a#member
         doc:3#blocked@group:a#member
         doc:4#viewer@group:a#member
         doc:4#blocked@user:*
         group:a#member@user:anne",
        &[
            ("doc:1#viewer@user:anne", 25, No),
            ("doc:1#viewer@user:bea", 25, Yes),
            ("doc:1#viewer@user:*", 25, Yes),
            ("doc:2#viewer@user:anne", 25, No),
            ("doc:2#viewer@user:*", 25, No),
            ("doc:3#viewer@user:anne", 25, No),
            ("doc:3#viewer@group:a#member", 25, No),
            ("doc:4#viewer@user:anne", 25, No),
            // Everybody is blocked, but everybody is no userset.
            ("doc:4#viewer@group:a#member", 25, Yes),
        ],
    );
}

#[test]
fn parents_without_the_relation_contribute_nobody() {
    holds(
        "type user
type team
  relations
    define member: [user]
type folder
  relations
    define parent: [folder, team]
    define viewer: [user] or viewer from parent
    define member: [user] and member from parent",
        "folder:a#parent@folder:b
         folder:a#parent@team:t
         folder:b#viewer@user:anne
         team:t#member@user:anne
         folder:a#member@user:anne
         folder:b#member@user:anne",
        &[
            ("folder:a#viewer@user:anne", 25, Yes),
            ("folder:a#member@user:anne", 25, Yes),
            ("folder:b#member@user:anne", 25, No),
            // A parent's userset is reached over the parent, a parent itself is not its viewer.
            ("folder:a#viewer@folder:b#viewer", 25, Yes),
            ("folder:a#viewer@folder:b", 25, No),
            ("folder:a#parent@folder:b", 25, Yes),
        ],
    );
}

#[test]
fn depth_is_the_least_number_of_hops() {
    holds(
        "type user
type group
  relations
    define blocked: [user]
    define direct: [user, group#direct]
    define member: direct
    define allowed: member but not blocked
    define both: member and blocked
    define guarded: blocked but not member",
        "group:a#direct@group:b#direct
         group:b#direct@group:c#direct
         group:c#direct@user:anne
         group:a#direct@group:x#direct
         group:x#direct@group:y#direct
         group:y#direct@group:c#direct
         group:a#blocked@user:bea
         group:a#blocked@user:cleo
         group:z#direct@user:cleo",
        &[
            ("group:a#member@user:anne", 2, Yes),
            ("group:a#member@user:anne", 1, TooDeep),
            ("group:a#member@user:anne", 0, TooDeep),
            ("group:c#member@user:anne", 0, Yes),
            // Nobody is found, and the limit cut nothing off.
            ("group:a#member@user:bea", 2, No),
            ("group:a#member@user:cleo", 1, TooDeep),
            // Nor could anything behind it be hers, who is named on no group's `direct`.
            ("group:a#member@user:bea", 1, No),
            // A deciding no beats the error of the other side.
            ("group:a#both@user:anne", 1, No),
            ("group:a#both@user:cleo", 1, TooDeep),
            ("group:a#both@user:bea", 2, No),
            ("group:a#guarded@user:anne", 1, No),
            ("group:a#guarded@user:cleo", 1, TooDeep),
            ("group:a#guarded@user:bea", 1, Yes),
            ("group:a#guarded@user:bea", 2, Yes),
            // The error of the first is one of the whole when the second takes nothing away, and none when it does.
            ("group:a#allowed@user:anne", 1, TooDeep),
            ("group:a#allowed@user:bea", 1, No),
            // A userset two hops away is reached where it is written: one hop before.
            ("group:a#member@group:c#direct", 1, Yes),
            ("group:a#member@group:c#member", 1, TooDeep),
            ("group:a#member@group:c#member", 2, No),
        ],
    );
}

/// A fact that is within the limit by one way counts as such on all of them.
#[test]
fn a_shorter_way_of_no_use_brings_facts_within_the_limit() {
    holds(
        "type user
type doc
  relations
    define near: [doc]
    define far: [doc]
    define base: [user]
    define nothing: [user] and base from near
    define long: [user] or long from far
    define all: nothing or long or long from near",
        "doc:a#far@doc:b
         doc:b#far@doc:c
         doc:a#near@doc:c
         doc:c#long@user:anne",
        &[
            ("doc:a#all@user:anne", 1, Yes),
            ("doc:a#long@user:anne", 1, TooDeep),
            ("doc:a#long@user:anne", 2, Yes),
        ],
    );
}

/// A cycle that stays undecided is a no only when nothing too far away could decide it.
#[test]
fn an_undecided_cycle_is_an_error_when_it_hangs_on_something_too_far() {
    holds(
        "type user
type doc
  relations
    define twin: [doc]
    define next: [doc]
    define base: [user]
    define extra: [user] or extra from next
    define mine: extra or yours from twin
    define yours: base but not mine",
        "doc:a#twin@doc:b
         doc:b#twin@doc:a
         doc:a#base@user:anne
         doc:b#base@user:anne
         doc:a#next@doc:n
         doc:n#next@doc:m
         doc:m#extra@user:anne",
        &[
            ("doc:a#yours@user:anne", 1, TooDeep),
            ("doc:b#yours@user:anne", 1, TooDeep),
            ("doc:a#yours@user:anne", 2, No),
            ("doc:b#yours@user:anne", 2, TooDeep),
            ("doc:b#yours@user:anne", 3, Yes),
        ],
    );
}
