use super::connection::{CHECK, Connection, fill, post, serve, store};

const LIST: &str = "{\"type\":\"folder\",\"relation\":\"viewer\",\"user\":\"user:anne\"}";

#[test]
fn a_store_that_has_read_too_much_is_told_to_wait_and_others_are_not() {
    let (server, path) = serve(&["--store-quota", "1000"]);
    let other = store(&server);
    fill(&server, &path, 10_000);
    let mut connection = Connection::open(&server);
    let list = post(&format!("{path}/list-objects"), "", LIST);
    // What it takes is known afterwards: the first is answered.
    let mut answer = connection.ask(&list);
    while answer.is_turned_away() {
        // What filling it has taken comes back.
        answer = connection.ask(&list);
    }
    assert_eq!(answer.json()["objects"].as_array().unwrap().len(), 10_001);
    let answer = connection.ask(&post(&format!("{path}/check"), "", CHECK));
    assert!(answer.is_turned_away() && answer.body.contains("quota of this store"), "{answer:?}");
    assert_eq!(connection.ask(&post(&format!("{other}/check"), "", CHECK)).json()["allowed"], false);
    // 10,000 rows are ten seconds' worth, of which two were saved; then it may go on.
    while connection.ask(&post(&format!("{path}/check"), "", CHECK)).is_turned_away() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn streams_and_failures_are_charged_too() {
    let (server, path) = serve(&["--caller-quota", "2000"]);
    fill(&server, &path, 10_000);
    let check = post(&format!("{path}/check"), "", CHECK);
    let wait = || {
        while Connection::open(&server).ask(&check).is_turned_away() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    let is_turned_away = || {
        let answer = Connection::open(&server).ask(&check);
        answer.is_turned_away() && answer.body.contains("quota of this caller")
    };
    for request in [
        post(&format!("{path}/streamed-list-objects"), "connection: close\r\n", LIST),
        post(&format!("{path}/export"), "connection: close\r\n", ""),
        post(&format!("{path}/list-objects"), "connection: close\r\nstonetown-deadline-ms: 600000\r\n", LIST),
    ] {
        wait();
        let mut connection = Connection::open(&server);
        connection.send(&request);
        let told = connection.rest();
        assert!(told.starts_with("HTTP/1.1 200"), "{}", &told[..told.len().min(300)]);
        assert!(is_turned_away(), "{request}");
    }
}
