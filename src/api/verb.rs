//! What a request asks for, by its method and path alone: before anything of it is read or looked up, it is known who may ask it, what room it
//! needs, and under which name it is told of.

use axum::http::Method;

use super::access::Right::{self, Admin, Check, Explain, Metrics, Read, Schema, Write};
use super::load::Class;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verb<'r> {
    /// In metrics, logs and traces.
    pub(super) name: &'static str,
    /// The store that it is about, as it is named.
    pub(super) store: Option<&'r str>,
    pub(super) need: Need,
    /// Whether it is an act of administration, which is written down.
    pub(super) is_administrative: bool,
    /// The class of what is most of the work of a server.
    pub(super) heavy: Option<Class>,
}

impl Verb<'_> {
    /// Whether the body is read as it comes, however long it is.
    pub(super) fn is_streamed_in(&self) -> bool {
        self.name == "import"
    }
}

/// What a request needs of whom it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Anybody may ask.
    Nothing,
    /// Whoever is known. What is shown goes by what they may; of what is nowhere, it is said that it is nowhere.
    Anybody,
    /// Any right of the store.
    Any,
    /// Rights of the store.
    Rights(&'static [Right]),
    /// A right of the server as a whole.
    Server(Right),
}

/// What a request asks for. A test holds it against every route of the API's description.
pub(super) fn verb<'r>(method: &Method, path: &'r str) -> Verb<'r> {
    let plain = |name, need| Verb { name, store: None, need, is_administrative: false, heavy: None };
    let act = |verb: Verb<'r>| Verb { is_administrative: true, ..verb };
    // A browser asks whether it may ask; it shows nobody's key with that.
    if method == Method::OPTIONS {
        return plain("options", Need::Nothing);
    }
    let is_post = method == Method::POST;
    let Some(rest) = path.strip_prefix("/stores") else {
        return match path {
            "/healthz" => plain("health", Need::Nothing),
            "/readyz" => plain("ready", Need::Nothing),
            "/openapi.json" => plain("openapi", Need::Nothing),
            "/metrics" => plain("metrics", Need::Server(Metrics)),
            "/validate" => act(plain("validate", Need::Server(Admin))),
            "/compact" => act(plain("compact", Need::Server(Admin))),
            "/backup" => act(plain("backup", Need::Server(Admin))),
            path if path.starts_with("/.well-known/") => plain("authzen_configuration", Need::Nothing),
            _ => plain("unknown", Need::Anybody),
        };
    };
    let Some(rest) = rest.strip_prefix('/') else {
        return match (rest, is_post) {
            ("", true) => act(plain("create_store", Need::Server(Admin))),
            ("", false) => plain("list_stores", Need::Anybody),
            _ => plain("unknown", Need::Anybody),
        };
    };
    let (store, what) = rest.split_once('/').map_or((rest, None), |(store, what)| (store, Some(what)));
    let of = |name, rights| Verb { store: Some(store), ..plain(name, Need::Rights(rights)) };
    let heavy = |class, verb: Verb<'r>| Verb { heavy: Some(class), ..verb };
    let Some(what) = what else {
        return match *method == Method::DELETE {
            true => act(of("delete_store", &[Admin])),
            false => Verb { need: Need::Any, ..of("get_store", &[]) },
        };
    };
    match what {
        "check" => of("check", &[Check]),
        "batch-check" => heavy(Class::Check, of("batch_check", &[Check])),
        "list-objects" => heavy(Class::List, of("list_objects", &[Check])),
        "streamed-list-objects" => of("streamed_list_objects", &[Check]),
        "list-users" => heavy(Class::List, of("list_users", &[Check])),
        "access/v1/evaluation" => of("authzen_evaluation", &[Check]),
        "access/v1/evaluations" => heavy(Class::Check, of("authzen_evaluations", &[Check])),
        _ if what.starts_with("access/v1/search/") => of("authzen_search", &[Check]),
        _ if what.starts_with(".well-known/") => {
            Verb { need: Need::Nothing, ..of("authzen_configuration", &[]) }
        }
        "read" => heavy(Class::List, of("read", &[Read])),
        "changes" => of("changes", &[Read]),
        "watch" => of("watch", &[Read]),
        "export" => of("export", &[Read]),
        "orphans" => of("orphans", &[Read]),
        "stats" => of("stats", &[Read]),
        "schemas" | "schema" => of("schema_log", &[Read]),
        "write" => of("write", &[Write]),
        "delete" => act(of("delete", &[Write])),
        "import" if is_post => act(of("import", &[Write])),
        "import" => of("import_state", &[Write]),
        "orphans/remove" => act(of("remove_orphans", &[Write])),
        "authorization-models" if is_post => act(of("write_schema", &[Schema])),
        "authorization-models" => of("read_schemas", &[Read]),
        _ if what.starts_with("authorization-models/") => of("read_schema", &[Read]),
        "apply" => act(of("apply", &[Schema, Write])),
        _ if what.starts_with("assertions/") => match *method == Method::PUT {
            true => act(of("write_assertions", &[Schema])),
            false => of("read_assertions", &[Read]),
        },
        "expand" => heavy(Class::List, of("expand", &[Explain])),
        "explain" => of("explain", &[Explain]),
        "access-diff" => of("access_diff", &[Explain]),
        "audit" => of("audit", &[Explain]),
        "matrix" => of("matrix", &[Explain]),
        "retention" if *method == Method::PUT => act(of("set_retention", &[Admin])),
        "retention" => of("retention", &[Read]),
        "collect" => act(of("collect", &[Admin])),
        "purge" => act(of("purge", &[Admin])),
        // There is no such route, and who may nothing need not know.
        _ => Verb { need: Need::Any, ..of("unknown", &[]) },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What each route needs, all of them: a new route has to be put here with what it needs.
    const NEEDS: &[(&str, &str, &str)] = &[
        ("post", "/stores", "server admin"),
        ("get", "/stores", "anybody"),
        ("get", "/stores/{store_id}", "any"),
        ("delete", "/stores/{store_id}", "admin"),
        ("get", "/stores/{store_id}/stats", "read"),
        ("get", "/stores/{store_id}/retention", "read"),
        ("put", "/stores/{store_id}/retention", "admin"),
        ("post", "/stores/{store_id}/collect", "admin"),
        ("post", "/stores/{store_id}/purge", "admin"),
        ("post", "/stores/{store_id}/authorization-models", "schema"),
        ("get", "/stores/{store_id}/authorization-models", "read"),
        ("get", "/stores/{store_id}/authorization-models/{authorization_model_id}", "read"),
        ("get", "/stores/{store_id}/schemas", "read"),
        ("get", "/stores/{store_id}/schema", "read"),
        ("post", "/stores/{store_id}/apply", "schema write"),
        ("get", "/stores/{store_id}/orphans", "read"),
        ("post", "/stores/{store_id}/orphans", "read"),
        ("post", "/stores/{store_id}/orphans/remove", "write"),
        ("post", "/stores/{store_id}/write", "write"),
        ("post", "/stores/{store_id}/delete", "write"),
        ("post", "/stores/{store_id}/import", "write"),
        ("get", "/stores/{store_id}/import", "write"),
        ("post", "/stores/{store_id}/export", "read"),
        ("post", "/stores/{store_id}/read", "read"),
        ("get", "/stores/{store_id}/changes", "read"),
        ("get", "/stores/{store_id}/watch", "read"),
        ("post", "/stores/{store_id}/check", "check"),
        ("post", "/stores/{store_id}/batch-check", "check"),
        ("post", "/stores/{store_id}/expand", "explain"),
        ("post", "/stores/{store_id}/access-diff", "explain"),
        ("post", "/stores/{store_id}/explain", "explain"),
        ("post", "/stores/{store_id}/audit", "explain"),
        ("get", "/stores/{store_id}/matrix", "explain"),
        ("post", "/stores/{store_id}/list-objects", "check"),
        ("post", "/stores/{store_id}/streamed-list-objects", "check"),
        ("post", "/stores/{store_id}/list-users", "check"),
        ("post", "/stores/{store_id}/access/v1/evaluation", "check"),
        ("post", "/stores/{store_id}/access/v1/evaluations", "check"),
        ("post", "/stores/{store_id}/access/v1/search/subject", "check"),
        ("post", "/stores/{store_id}/access/v1/search/resource", "check"),
        ("post", "/stores/{store_id}/access/v1/search/action", "check"),
        ("get", "/.well-known/authzen-configuration/stores/{store_id}", "nothing"),
        ("get", "/stores/{store_id}/.well-known/authzen-configuration", "nothing"),
        ("put", "/stores/{store_id}/assertions/{authorization_model_id}", "schema"),
        ("get", "/stores/{store_id}/assertions/{authorization_model_id}", "read"),
        ("post", "/validate", "server admin"),
        ("post", "/compact", "server admin"),
        ("post", "/backup", "server admin"),
        ("get", "/healthz", "nothing"),
        ("get", "/readyz", "nothing"),
        ("get", "/metrics", "server metrics"),
        ("get", "/openapi.json", "nothing"),
    ];

    #[test]
    fn every_route_needs_what_it_is_said_to_need() {
        let described: Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let mut routes = Vec::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            routes.extend(methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
        }
        assert_eq!(routes.len(), NEEDS.len());
        for (method, path) in routes {
            let known = NEEDS.iter().find(|need| (need.0, need.1) == (&*method, &*path));
            let expected = known.unwrap_or_else(|| panic!("{method} {path} is not among them")).2;
            let method: Method = method.to_uppercase().parse().unwrap();
            let asked = path.replace("{store_id}", "S").replace("{authorization_model_id}", "M");
            let verb = verb(&method, &asked);
            let need = match verb.need {
                Need::Nothing => "nothing".to_owned(),
                Need::Anybody => "anybody".to_owned(),
                Need::Any => "any".to_owned(),
                Need::Rights(rights) => rights.iter().map(|right| right.name()).collect::<Vec<_>>().join(" "),
                Need::Server(right) => format!("server {}", right.name()),
            };
            assert_eq!(need, expected, "{method} {path}");
            assert_ne!(verb.name, "unknown", "{method} {path}");
            assert_eq!(verb.store.is_some(), path.starts_with("/stores/{"), "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_route_gives_nobody_more() {
        for path in
            ["/stores/S/nothing", "/stores/S/check/", "/stores/S//check", "/stores/S/CHECK", "/stores/S/"]
        {
            assert_eq!(verb(&Method::POST, path).need, Need::Any, "{path}");
        }
        for path in ["/storesS", "/storesx/S/check", "/", "//stores/S/check", "/metrics/", "/Validate"] {
            assert_eq!(verb(&Method::GET, path).need, Need::Anybody, "{path}");
        }
    }
}
