//! Expressions and contexts that are made to cost much: refused, or stopped within their bound. None ends the process.

use std::fmt::Write as _;

use serde_json::json;
use stonetown::condition::ConditionError;

use super::expressions::{compile, holds};

/// As small as the threads of a server have it.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn deep_nesting_is_refused_or_evaluated() {
    on_a_small_stack(|| {
        let nested = |open: &str, inner: &str, close: &str, depth: usize| {
            format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
        };
        for depth in [1, 10, 40, 47, 48, 49, 60, 100, 250, 500] {
            for expression in [
                nested("(", "true", ")", depth),
                nested("!", "true", "", depth),
                nested("-", "1", " == 1", depth.min(1)).replacen('-', &"-".repeat(depth), 1),
                nested("[", "1", "]", depth) + " == [1]",
                nested("{1:", "1", "}", depth) + " == {}",
                nested("true ? ", "true", " : true", depth),
                nested("size(", "'a'", ")", depth) + " == 1",
                format!("true{}", " && true".repeat(depth)),
                format!("1{} > 0", " + 1".repeat(depth)),
                format!("dyn(1){} == 1", ".a".repeat(depth)),
                format!("dyn([1]){} == 1", "[0]".repeat(depth)),
                nested("[1].all(x, ", "true", ")", depth),
            ] {
                // Whatever it is: an answer, an error, or a refusal.
                let compiled = compile("", &expression);
                if let Ok(compiled) = compiled {
                    let _ = compiled.holds(&stonetown::tuple::ConditionContext::empty(), &Default::default());
                }
            }
        }
    });
}

#[test]
fn long_expressions_are_refused() {
    let problem = compile("", &format!("'{}' == 'a'", "a".repeat(600))).map(drop).unwrap_err();
    assert!(problem.contains("at most 512"), "{problem}");
}

#[test]
fn nested_comprehensions_over_long_lists_are_stopped_before_they_begin() {
    let long: Vec<u32> = (0..1_000).collect();
    let context = json!({ "x": long });
    assert_eq!(holds("x: list<int>", "x.all(a, a >= 0)", context.clone()), Ok(true));
    for expression in [
        "x.all(a, x.all(b, a + b >= 0))",
        "x.all(a, x.all(b, x.all(c, a + b + c >= 0)))",
        "x.map(a, x.map(b, a * b)).size() > 0",
        "x.filter(a, x.exists(b, a == b + 1)).size() > 0",
        "(x + x + x + x).all(a, (x + x).exists(b, a == b))",
    ] {
        let error = holds("x: list<int>", expression, context.clone()).unwrap_err();
        assert!(matches!(error, ConditionError::TooMuchWork { .. }), "{expression}: {error}");
    }
    // Within one that is small enough, the longest list counts, wherever it is.
    let error = holds(
        "x: map<list<int>>",
        "x.all(k, x[k].all(a, x[k].all(b, a == b)))",
        json!({ "x": { "k": long } }),
    );
    assert!(matches!(error, Err(ConditionError::TooMuchWork { .. })), "{error:?}");
    let literals = "[1,2,3,4,5,6,7,8,9,0].all(a,[1,2,3,4,5,6,7,8,9,0].all(b,[1,2,3,4,5,6,7,8,9,0].all(c,[1,2,3,4,5,6,7,8,9,0].all(d,[1,2,3,4,5,6,7,8,9,0].all(e,a+b+c+d+e>=0)))))";
    assert!(matches!(holds("", literals, json!({})), Err(ConditionError::TooMuchWork { .. })));
}

#[test]
fn huge_texts_and_large_patterns_are_stopped() {
    let huge = "a".repeat(4 << 20);
    let context = json!({ "s": huge, "p": "(a{100}){100}" });
    for expression in
        ["s.matches(p)", "s.contains(s + s) || s.matches('(a|a)*b')", "(s + s + s + s).size() == 0"]
    {
        let error = holds("s: string, p: string", expression, context.clone()).unwrap_err();
        assert!(matches!(error, ConditionError::TooMuchWork { .. }), "{expression}: {error}");
    }
    // A pattern of a usual size on a usual text is no trouble, also one that others go astray on.
    let context = json!({ "s": "a".repeat(5_000), "p": "" });
    assert_eq!(holds("s: string, p: string", "s.matches('^(a+)+$')", context.clone()), Ok(true));
    assert_eq!(holds("s: string, p: string", "s.matches('^(a+)+b$')", context), Ok(false));
}

#[test]
fn every_short_text_is_read_or_refused() {
    on_a_small_stack(|| {
        let pieces = [
            "x", "1", "'a'", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-", "+", "*", "/", "%",
            "==", "<", "&&", "||", " in ", "has", "all", "size", "\"", "\\", "\n", "é", "𝛼", "//", "true",
            "null", "b'\\xff'", "0x", "1e999", "`a`",
        ];
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..(state % 9) + 1 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let _ = write!(text, "{}", pieces[(state >> 33) as usize % pieces.len()]);
            }
            if let Ok(compiled) = compile("x: any", &text) {
                let context =
                    stonetown::condition::Context::new(super::expressions::object(json!({ "x": [1, "a"] })));
                let _ = compiled.holds(&stonetown::tuple::ConditionContext::empty(), &context);
            }
        }
    });
}
