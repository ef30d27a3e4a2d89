//! Digests: what several texts come to, in a few bytes.

/// Injective but for chance: each part counts with its length before it.
pub fn digest(parts: &[impl AsRef<str>]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.as_ref().len() as u64).to_be_bytes());
        hasher.update(part.as_ref().as_bytes());
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}
