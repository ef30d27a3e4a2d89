use super::connection::{CHECK, Connection, get, post, serve};

#[test]
fn a_connection_beyond_those_allowed_is_told_so() {
    let (server, path) = serve(&["--connections-max", "2"]);
    // Those that the store was made over may be open still.
    let mut open: Vec<Connection> = Vec::new();
    while open.len() < 2 {
        let mut connection = Connection::open(&server);
        connection.try_send(&get("/healthz"));
        if connection.begin().starts_with("HTTP/1.1 200") {
            open.push(connection);
        }
    }
    let mut third = Connection::open(&server);
    let told = third.rest();
    assert!(told.starts_with("HTTP/1.1 429") && told.contains("rate_limit_exceeded"), "{told}");
    assert_eq!(open[0].ask(&post(&format!("{path}/check"), "", CHECK)).json()["allowed"], false);
    open.clear();
    loop {
        let mut connection = Connection::open(&server);
        connection.try_send(&get("/healthz"));
        if connection.begin().starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_and_one_that_never_ends_is_left() {
    let (server, path) = serve(&["--head-bytes-max", "8192", "--idle-max", "1s"]);
    let mut large = Connection::open(&server);
    large.try_send(&format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(20_000)));
    assert!(large.rest().starts_with("HTTP/1.1 431"));
    let mut many = Connection::open(&server);
    many.try_send(&format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(1_000)));
    assert!(many.rest().starts_with("HTTP/1.1 431"));
    // A little now and then is not enough.
    let mut slow = Connection::open(&server);
    slow.send("GET /healthz HTTP/1.1\r\nhost: ");
    let mut idle = Connection::open(&server);
    assert_eq!(idle.rest(), "", "closed without a word");
    let told = slow.rest();
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    assert_eq!(Connection::open(&server).ask(&post(&format!("{path}/check"), "", CHECK)).status, 200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let (server, path) = serve(&["--body-time-max", "500ms"]);
    let mut slow = Connection::open(&server);
    slow.send(&format!("POST {path}/check HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{{"));
    let answer = slow.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (400, &"validation_error".into()), "{answer:?}");
    assert!(answer.body.contains("did not come within 500ms"), "{answer:?}");
}

#[test]
fn large_bodies_have_to_fit_into_memory_together() {
    let (server, path) = serve(&["--body-bytes-max", "1048576", "--bodies-mib-max", "1"]);
    let begun = |bytes: usize| {
        format!(
            "POST {path}/check HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n{}",
            " ".repeat(1_000)
        )
    };
    let mut large = Connection::open(&server);
    large.send(&begun(900_000));
    // It may not have been looked at yet.
    let turned_away = loop {
        let mut other = Connection::open(&server);
        let body = format!("{}{CHECK}", " ".repeat(500_000));
        other.try_send(&post(&format!("{path}/check"), "connection: close\r\n", &body));
        let told = other.rest();
        if told.starts_with("HTTP/1.1 429") {
            break told;
        }
    };
    assert!(turned_away.contains("large bodies"), "{turned_away}");
    assert_eq!(Connection::open(&server).ask(&post(&format!("{path}/check"), "", CHECK)).status, 200);
    large.send(&format!("{}{CHECK}", " ".repeat(900_000 - 1_000 - CHECK.len())));
    assert_eq!(large.answer().status, 200, "the one that was first is answered");
}
