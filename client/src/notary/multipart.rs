//! The form that an update is posted as (RFC 7578): one part per role, named by its filename alone.
use touchmark_tuf::RoleName;
use touchmark_tuf::Sha256Digest;

/// An encoded form.
#[derive(Debug)]
pub(super) struct Form {
    /// The value of `Content-Type`, with the boundary.
    pub(super) content_type: String,
    /// All parts.
    pub(super) body: Vec<u8>,
}

/// Encodes files as Docker's client does. The boundary comes from the contents, so it is not inside them.
pub(super) fn encode(files: &[(RoleName, Vec<u8>)]) -> Form {
    let mut all = Vec::new();
    files.iter().for_each(|(_, file)| all.extend_from_slice(Sha256Digest::of(file).as_bytes()));
    let boundary = Sha256Digest::of(&all).to_string(); // 64 characters of the 70 allowed
    let mut body = Vec::new();
    for (role, file) in files {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Form { content_type: format!("multipart/form-data; boundary={boundary}"), body }
}
