//! Property tests: what is printed is read back as the same, in both forms, with every comment.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::layout;
use super::source::At;
use super::tree::{
    BodyComments, Comment, ConditionDefinition, Expression, ExpressionKind, Metadata, Name, Parameter,
    ParameterType, ParameterTypeName, RelationDefinition, Tree, Trivia, TypeDefinition, TypeRestriction,
    TypeRestrictionShape,
};

const NAMES: [&str; 12] =
    ["a", "b", "viewer", "but", "not", "type", "model", "x-", "a/b", "a.b-c", "_1", "relation"];
const CONDITION_NAMES: [&str; 4] = ["c", "in_office", "x--y", "_"];
const EXPRESSIONS: [&str; 4] =
    ["x < 1", "x < 1 &&\n    y > 2", "x == \"}\" && y.in_cidr('#')", "[1, 2].all(i,\n\n  i < x) // }"];

fn name() -> impl Strategy<Value = Name> {
    select(&NAMES[..]).prop_map(Name::made)
}

fn comment_text() -> impl Strategy<Value = String> {
    "#[ #a-z\\]\\[{}\"]{0,8}".prop_map(|text| text.trim_end().to_string())
}

fn comments() -> impl Strategy<Value = Vec<Comment>> {
    let comment =
        (comment_text(), any::<bool>()).prop_map(|(text, blank_before)| Comment { text, blank_before });
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(comment, 1..3)]
}

fn comment_texts() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![6 => Just(Vec::new()), 1 => prop::collection::vec(comment_text(), 1..3)]
}

fn trailing() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.2, comment_text())
}

fn trivia() -> impl Strategy<Value = Trivia> {
    (comments(), any::<bool>(), trailing()).prop_map(|(comments, blank_before, trailing)| Trivia {
        comments,
        blank_before,
        trailing,
    })
}

fn restriction() -> impl Strategy<Value = TypeRestriction> {
    let shape = prop_oneof![
        Just(TypeRestrictionShape::Object),
        Just(TypeRestrictionShape::Wildcard),
        name().prop_map(TypeRestrictionShape::Userset),
    ];
    let condition = prop::option::weighted(0.2, select(&CONDITION_NAMES[..]).prop_map(Name::made));
    (name(), shape, condition).prop_map(|(subject_type, shape, condition)| {
        TypeRestriction::new(At::nowhere(), subject_type, shape, condition)
    })
}

/// An expression without a direct assignment.
fn indirect() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        name().prop_map(|name| Expression::made(ExpressionKind::Computed(name))),
        (name(), name())
            .prop_map(|(target, tupleset)| Expression::made(ExpressionKind::Arrow { target, tupleset })),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let operands = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            operands.clone().prop_map(|list| Expression::made(ExpressionKind::Union(list))),
            operands.prop_map(|list| Expression::made(ExpressionKind::Intersection(list))),
            (inner.clone(), inner).prop_map(|(base, subtract)| {
                Expression::made(ExpressionKind::Exclusion(base.into(), subtract.into()))
            }),
        ]
    })
}

/// An expression in which the direct assignment, if there is one, stands first.
fn definition() -> impl Strategy<Value = Expression> {
    let first = prop_oneof![Just(Expression::made(ExpressionKind::Direct)), indirect()];
    (first, prop::collection::vec((0..3u8, prop::collection::vec(indirect(), 1..3)), 0..3)).prop_map(
        |(first, levels)| {
            levels.into_iter().fold(first, |inner, (operator, mut others)| {
                let mut operands = vec![inner];
                match operator {
                    0 => {
                        operands.append(&mut others);
                        Expression::made(ExpressionKind::Union(operands))
                    }
                    1 => {
                        operands.append(&mut others);
                        Expression::made(ExpressionKind::Intersection(operands))
                    }
                    _ => Expression::made(ExpressionKind::Exclusion(
                        operands.remove(0).into(),
                        others.remove(0).into(),
                    )),
                }
            })
        },
    )
}

/// An expression with direct assignments anywhere, as JSON can have it.
fn anything() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        Just(Expression::made(ExpressionKind::Direct)),
        Just(Expression::made(ExpressionKind::Missing)),
        name().prop_map(|name| Expression::made(ExpressionKind::Computed(name))),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let operands = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            operands.clone().prop_map(|list| Expression::made(ExpressionKind::Union(list))),
            operands.prop_map(|list| Expression::made(ExpressionKind::Intersection(list))),
            (inner.clone(), inner).prop_map(|(base, subtract)| {
                Expression::made(ExpressionKind::Exclusion(base.into(), subtract.into()))
            }),
        ]
    })
}

fn relation(expression: impl Strategy<Value = Expression>) -> impl Strategy<Value = RelationDefinition> {
    (name(), expression, prop::collection::vec(restriction(), 1..4)).prop_map(
        |(name, expression, restrictions)| {
            let restrictions = if expression.has_direct() { restrictions } else { Vec::new() };
            RelationDefinition::new(name, expression, restrictions)
        },
    )
}

fn typedef(expression: impl Strategy<Value = Expression>) -> impl Strategy<Value = TypeDefinition> {
    (name(), prop::collection::vec(relation(expression), 0..5))
        .prop_map(|(name, relations)| TypeDefinition::new(name, relations))
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let scalar = |name| ParameterType { name, generics: Vec::new() };
    let scalars = vec![ParameterTypeName::Int, ParameterTypeName::String, ParameterTypeName::Ipaddress];
    let kind = (select(scalars), 0..3u8).prop_map(move |(inner, container)| match container {
        0 => scalar(inner),
        1 => ParameterType { name: ParameterTypeName::List, generics: vec![scalar(inner)] },
        _ => ParameterType { name: ParameterTypeName::Map, generics: vec![scalar(inner)] },
    });
    (select(&["x", "y", "type", "in"][..]), kind)
        .prop_map(|(name, kind)| Parameter { name: Name::made(name), kind })
}

fn condition() -> impl Strategy<Value = ConditionDefinition> {
    let parameters = prop::collection::vec(parameter(), 1..4);
    (select(&CONDITION_NAMES[..]), parameters, select(&EXPRESSIONS[..])).prop_map(
        |(name, mut parameters, expression)| {
            parameters.sort_by(|a, b| a.name.text.cmp(&b.name.text));
            parameters.dedup_by(|a, b| a.name.text == b.name.text);
            ConditionDefinition::new(Name::made(name), parameters, expression, At::nowhere())
        },
    )
}

fn bare_tree(expression: impl Strategy<Value = Expression>) -> impl Strategy<Value = Tree> {
    let types = prop::collection::vec(typedef(expression), 0..5);
    let conditions = prop::collection::vec(condition(), 0..3);
    (select(&["1.1", "1.2", "10.0"][..]), types, conditions).prop_map(|(version, types, conditions)| {
        let mut tree = Tree::empty(version);
        tree.types = types;
        tree.conditions = conditions;
        layout::normalise(&mut tree);
        tree
    })
}

/// The name of a module, when it is a file of one, and which of its types extend others.
fn module() -> impl Strategy<Value = (Option<&'static str>, [bool; 5])> {
    (prop::option::of(select(&["core", "module", "a-", "_", "type"][..])), any::<[bool; 5]>())
}

/// A tree with comments and blank lines everywhere that they can stand.
fn commented_tree() -> impl Strategy<Value = Tree> {
    let pool = (
        prop::collection::vec(trivia(), 24),
        prop::collection::vec(comments(), 8),
        prop::collection::vec((comment_texts(), trailing()), 16),
    );
    (bare_tree(definition()), module(), pool).prop_map(
        |(mut tree, (module, extends), (trivia, tails, texts))| {
            let mut trivia = trivia.into_iter().cycle();
            let mut tails = tails.into_iter().cycle();
            let mut texts = texts.into_iter().cycle();
            tree.header.model_trivia = trivia.next().unwrap_or_default();
            if let Some(name) = module {
                tree.header.module = Some(Name::made(name));
                tree.header.version = Name::made("1.2");
                for (definition, extends) in tree.types.iter_mut().zip(extends) {
                    definition.extends = extends;
                }
            } else {
                tree.header.schema_trivia = trivia.next().unwrap_or_default();
            }
            tree.header.tail = tails.next().unwrap_or_default();
            for definition in &mut tree.types {
                definition.trivia = trivia.next().unwrap_or_default();
                definition.tail = tails.next().unwrap_or_default();
                if !definition.relations.is_empty() {
                    definition.relations_trivia = trivia.next().unwrap_or_default();
                }
                for relation in &mut definition.relations {
                    relation.trivia = trivia.next().unwrap_or_default();
                    for restriction in &mut relation.restrictions {
                        (restriction.comments, restriction.trailing) = texts.next().unwrap_or_default();
                    }
                    if !relation.restrictions.is_empty() {
                        relation.restrictions_tail = texts.next().unwrap_or_default().0;
                    }
                }
            }
            for condition in &mut tree.conditions {
                condition.trivia = trivia.next().unwrap_or_default();
                let (before, on_first) = texts.next().unwrap_or_default();
                let (after, closing) = texts.next().unwrap_or_default();
                let on_lines = on_first.map(|comment| (0, comment)).into_iter().collect();
                condition.body_comments = BodyComments { before, on_lines, after };
                condition.closing_comment = closing;
            }
            tree.tail = tails.next().unwrap_or_default();
            layout::normalise(&mut tree);
            tree
        },
    )
}

/// JSON has no order of names, and has each once.
fn sorted(mut tree: Tree) -> Tree {
    for definition in &mut tree.types {
        definition.relations.sort_by(|a, b| a.name.text.cmp(&b.name.text));
        definition.relations.dedup_by(|a, b| a.name.text == b.name.text);
        for relation in &mut definition.relations {
            if relation.restrictions.is_empty() {
                relation.metadata = None;
            }
        }
        definition.metadata = definition
            .relations
            .iter()
            .any(|relation| relation.metadata.is_some())
            .then(|| Metadata { module: "core".into(), file: Some("core.fga".into()) });
    }
    tree.conditions.sort_by(|a, b| a.name.text.cmp(&b.name.text));
    tree.conditions.dedup_by(|a, b| a.name.text == b.name.text);
    layout::normalise(&mut tree);
    tree
}

const COMMENTED: &str = "model\n  schema 1.1\ntype user\ntype bot\ntype doc\n  relations\n    define parent: [doc]\n    define viewer: [\n      user,\n      bot with c\n    ] or (viewer from parent but not owner)\n    define owner: [user] or (parent)\ncondition c(x: int) {\n  x <\n  1\n}\n";

/// Writes a comment or a blank line at some places of a text.
fn decorate(places: &[(Index, u8, String)]) -> String {
    let mut lines: Vec<String> = COMMENTED.lines().map(str::to_string).collect();
    for (place, how, comment) in places {
        let at = place.index(lines.len());
        let has_comment = lines[at].contains('#');
        match how {
            0 => lines.insert(at, String::new()),
            1 | 2 => lines.insert(at, format!("{}{comment}", " ".repeat(usize::from(*how) * 3))),
            3 => lines.insert(at, comment.clone()),
            _ if has_comment => {}
            _ => lines[at] = format!("{}  {comment}", lines[at]),
        }
    }
    lines.join("\n")
}

fn comments_of(text: &str) -> Vec<String> {
    let comment = |line: &str| match line.trim_start().starts_with('#') {
        true => Some(line.trim().to_string()),
        false => line.find(" #").map(|at| line[at..].trim().to_string()),
    };
    text.lines().filter_map(comment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back(tree in commented_tree()) {
        let text = tree.print().unwrap();
        let read = Tree::parse("printed.fga", &text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        prop_assert_eq!(&read, &tree, "{}", text);
        prop_assert_eq!(read.print().unwrap(), text);
    }

    #[test]
    fn json_is_read_back(tree in bare_tree(anything()).prop_map(sorted)) {
        let value = tree.to_json();
        let read = Tree::from_json(&value).unwrap_or_else(|problems| panic!("{value}\n{problems}"));
        prop_assert_eq!(&read, &tree);
        prop_assert_eq!(read.to_json(), value);
    }

    #[test]
    fn every_comment_is_kept_in_its_place(places in prop::collection::vec((any::<Index>(), 0..6u8, comment_text()), 0..12)) {
        let text = decorate(&places);
        let tree = Tree::parse("in.fga", &text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        let printed = tree.print().unwrap();
        prop_assert_eq!(comments_of(&printed), comments_of(&text), "{}\n{}", text, printed);
        let again = Tree::parse("out.fga", &printed).unwrap_or_else(|problems| panic!("{printed}\n{problems}"));
        prop_assert_eq!(&again, &tree, "{}", printed);
        prop_assert_eq!(again.print().unwrap(), printed);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(type|define|relations|condition|model|schema 1.1|but not| or |[a-z:#*\\[\\](){},\"<> \n\t]|\\PC){0,60}") {
        for text in [text.clone(), format!("model\n  schema 1.1\ntype user\n  relations\n{text}")] {
            match super::read_schema("any.fga", &text) {
                Ok((tree, _)) => {
                    let printed = tree.print().unwrap();
                    prop_assert_eq!(Tree::parse("any.fga", &printed).unwrap(), tree);
                }
                Err(problems) => {
                    prop_assert!(problems.has_errors());
                    prop_assert!(!problems.render(true).is_empty());
                }
            }
        }
    }
}
