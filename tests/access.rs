//! Who may call: keys, tokens of an OpenID provider, certificates; what each right gives and what it does not; and that no secret is to be found
//! anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

mod access {
    /// A server with settings in a file, and clients that show something.
    mod guarded;
    /// An OpenID provider.
    mod issuer;

    /// Published advisories of OpenFGA about who may call.
    mod advisories;
    mod audit;
    mod certificates;
    mod changes;
    mod keys;
    mod origins;
    mod secrets;
    mod tokens;
}
