//! What can be wrong, one enum per boundary. None of these goes away by trying again with the same bytes; where other
//! bytes may help (a newer root, a fresh timestamp) the variant says so.
mod trust;

pub use self::trust::TrustError;

use crate::ids::{DelegationName, KeyId, RoleName, TargetName, Version, shown};

/// A text is not an id of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Nothing where a name must be.
    #[error("the {what} is empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// More bytes than the kind allows.
    #[error("the {what} is longer than {limit} bytes")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// A character that the kind does not have.
    #[error("the {what} has the character {}", shown(&character.to_string()))]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first such character.
        character: char,
    },
    /// A path segment is empty, `.` or `..`.
    #[error("the {what} has an empty segment, `.` or `..`")]
    Segment {
        /// Which kind of name.
        what: &'static str,
    },
    /// Neither a base role nor below `targets/`.
    #[error("not a role: neither root, targets, snapshot or timestamp nor below targets/")]
    NotADelegation,
    /// Not the right number of lower-case hexadecimal digits.
    #[error("a {what} is {digits} lower-case hexadecimal digits")]
    NotHex {
        /// Which kind of id.
        what: &'static str,
        /// How many digits it has.
        digits: usize,
    },
    /// A digest by another algorithm, or without one.
    #[error("a digest begins with sha256:")]
    NotSha256,
    /// Zero, or beyond 2^53 - 1.
    #[error("the version {0} is not from 1 to 2^53 - 1")]
    Version(u64),
}

/// A text is not a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not in the form of RFC 3339.
    #[error("not a time in the form 2036-11-19T13:46:27Z")]
    Form,
    /// The form is right, but no calendar has it.
    #[error("there is no such day or time")]
    NoSuchTime,
}

/// Bytes are not a public key of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a DER SubjectPublicKeyInfo.
    #[error("not a public key in DER (SubjectPublicKeyInfo)")]
    NotSpki,
    /// A curve or algorithm that nobody here verifies with.
    #[error("the key is neither ECDSA on P-256 or P-384, RSA nor Ed25519")]
    Algorithm,
    /// Not an X.509 certificate in PEM.
    #[error("not an X.509 certificate in PEM")]
    NotACertificate,
    /// Not a point in uncompressed form.
    #[error("not an uncompressed P-256 point of 65 bytes")]
    NotAPoint,
}

/// Bytes are not a signature of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not DER of two INTEGERs, each in its shortest form.
    #[error("not an ECDSA signature in DER")]
    NotDer,
    /// r or s takes more than 32 bytes, or is zero.
    #[error("r or s of the signature is out of range for P-256")]
    Range,
}

/// A certificate is not one that can stand for a root key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not PEM of X.509 certificates.
    #[error("not an X.509 certificate in PEM")]
    NotACertificate,
    /// PEM, but not as Go writes it; another reader would compute another key id.
    #[error("the PEM text is not in Go's form: 64 columns, LF, a final newline")]
    PemForm,
    /// The first certificate is a CA's, or a later one is not.
    #[error("the bundle is not one end certificate first and CA certificates after it")]
    Bundle,
    /// No common name to compare with the repository.
    #[error("the certificate has no common name")]
    NoCommonName,
    /// The key is none that can be used.
    #[error("the key of the certificate: {0}")]
    Key(#[from] KeyError),
    /// A date that X.509 cannot write, or an end before the start.
    #[error("the certificate's dates are out of order or out of range")]
    Dates,
    /// The finished certificate does not read back as what was asked for.
    #[error("the certificate does not read back as it was built")]
    ReadBack,
}

/// Bytes are not a document in the form that it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// More bytes than this kind of document may have.
    #[error("{size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More entries than a document may have.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Entries of which kind.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Objects and arrays inside one another, too deep.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// How many levels there may be.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// The text ends in the middle.
    #[error("the document is cut off")]
    CutOff,
    /// Not JSON.
    #[error("not JSON: {expected} expected at byte {at}")]
    Syntax {
        /// Offset of the wrong byte.
        at: usize,
        /// What had to be there.
        expected: &'static str,
    },
    /// JSON, but not in canonical form.
    #[error("not canonical at byte {at}: {cause}")]
    NotCanonical {
        /// Offset of the first byte that differs.
        at: usize,
        /// Which rule is broken.
        cause: &'static str,
    },
    /// Something stands after the document.
    #[error("something stands after the document, from byte {at} on")]
    Trailing {
        /// Offset of the first such byte.
        at: usize,
    },
    /// A number with a fraction or an exponent.
    #[error("a number that is not a plain integer at byte {at}")]
    NotAnInteger {
        /// Offset of the number.
        at: usize,
    },
    /// An integer beyond 2^53, which readers that use doubles would change.
    #[error("an integer beyond 2^53 at byte {at}")]
    IntegerTooBig {
        /// Offset of the number.
        at: usize,
    },
    /// A control character in a text; canonical JSON cannot carry it.
    #[error("a control character in a text at byte {at}")]
    Control {
        /// Offset of the character.
        at: usize,
    },
    /// One name twice in an object; readers differ in which one they take.
    #[error("the field {} stands twice", shown(.field))]
    Duplicate {
        /// The name.
        field: String,
    },
    /// A name that Go takes for another one, as it ignores case.
    #[error("the field {} differs from {of} in case only", shown(.field))]
    CaseVariant {
        /// The name as written.
        field: String,
        /// The name that Go reads.
        of: String,
    },
    /// A field that this kind of document does not have.
    #[error("the field {} is unknown here", shown(.field))]
    UnknownField {
        /// The name.
        field: String,
    },
    /// A field that this kind of document must have.
    #[error("the field {field} is missing")]
    MissingField {
        /// The name.
        field: &'static str,
    },
    /// A value of a kind that the field does not take.
    #[error("{expected} expected at byte {at}")]
    WrongKind {
        /// Offset of the value.
        at: usize,
        /// What the field takes.
        expected: &'static str,
    },
    /// A value of the right kind that the field cannot have.
    #[error("the field {field}: {cause}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: ValueError,
    },
    /// The document says that it is of another kind.
    #[error("of type {}, not {expected}", shown(.found))]
    WrongType {
        /// The type that was asked for.
        expected: &'static str,
        /// The type in the document.
        found: String,
    },
    /// A key stands under an id that is not its own.
    #[error("the key listed as {listed} has the id {actual}")]
    KeyIdMismatch {
        /// The id in the document.
        listed: KeyId,
        /// The id of the key's content.
        actual: KeyId,
    },
    /// A role names a key that the document does not describe.
    #[error("{role} lists the key {key_id}, which is not in keys")]
    UnknownKey {
        /// The role.
        role: RoleName,
        /// The key.
        key_id: KeyId,
    },
    /// A role names one key twice.
    #[error("{role} lists the key {key_id} twice")]
    DuplicateKeyId {
        /// The role.
        role: RoleName,
        /// The key.
        key_id: KeyId,
    },
    /// A base role lists fewer keys than must sign: nobody could ever sign for it.
    #[error("{role} lists fewer keys than must sign")]
    TooFewKeys {
        /// The role.
        role: RoleName,
    },
    /// A root or snapshot document lacks one of the roles that it must list.
    #[error("the role {role} is missing")]
    MissingRole {
        /// The role.
        role: RoleName,
    },
    /// One delegation twice.
    #[error("the delegation {role} stands twice")]
    DuplicateDelegation {
        /// The delegation.
        role: RoleName,
    },
}

/// Why a value does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Not an id of the field's kind.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Not a point in time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Not as Go writes a time, so that the server would hash other bytes than were signed.
    #[error("the time is not in Go's form")]
    TimeForm,
    /// Not padded standard base64.
    #[error("not base64")]
    Base64,
    /// Base64 of a wrong number of bytes.
    #[error("{found} bytes instead of {expected}")]
    Length {
        /// How many bytes there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Longer than allowed.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// Zero or negative where that makes no sense.
    #[error("not a number that it can have")]
    Number,
    /// A private key, or something in its place.
    #[error("must be null")]
    NotNull,
    /// No digest by SHA-256.
    #[error("no sha256 digest")]
    NoSha256,
    /// A kind of key that nobody here verifies with.
    #[error("unknown kind {}", shown(.0))]
    Unknown(String),
}

/// Bytes are not exactly a document that may be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExactError {
    /// They do not read as a document of the kind.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// They read as one, but writing it gives other bytes: something in them was not understood.
    #[error("the document reads, but is written differently from byte {at} on")]
    Differs {
        /// Offset of the first byte that differs.
        at: usize,
    },
}

/// A file cannot be put together so that every reader gets the same bytes from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// The signed part does not read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// No signature at all.
    #[error("there is no signature")]
    NoSignature,
    /// Two signatures by one key.
    #[error("two signatures by the key {0}")]
    DuplicateSignature(KeyId),
    /// The finished file does not read back as what went in.
    #[error("the file does not read back as it was put together")]
    ReadBack,
}

/// Too few valid signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{valid} valid signatures by different keys of the role, {needed} needed")]
pub struct VerifyError {
    /// How many signatures by different keys of the role are valid.
    pub valid: u32,
    /// How many there must be.
    pub needed: u32,
}

/// The next version of a document cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The version cannot grow any more.
    #[error("version {0} is the last one")]
    LastVersion(Version),
    /// The tag to remove is not there.
    #[error("the tag {} is not signed by this role", shown(.0.as_str()))]
    NoSuchTag(TargetName),
    /// The delegation to remove is not there.
    #[error("there is no delegation {0}")]
    NoSuchDelegation(DelegationName),
    /// A delegation without a key.
    #[error("the delegation {0} has no key")]
    NoKeys(DelegationName),
    /// A root key without a certificate for this repository.
    #[error("the root key {0} has no certificate for this repository")]
    RootCertificate(KeyId),
    /// The key to remove is not one of the role.
    #[error("the key {0} is not listed for {1}")]
    NoSuchKey(KeyId, RoleName),
    /// Fewer root keys would be left than have to sign. One key in two certificates is one key.
    #[error("there would be {keys} root {}, and {needed} must sign", if *.keys == 1 { "key" } else { "keys" })]
    TooFewRootKeys {
        /// How many different ones.
        keys: usize,
        /// How many have to sign.
        needed: usize,
    },
    /// A root key would be listed twice.
    #[error("the certificates {listed} and {added} are of one root key: remove the old one to renew it")]
    SameRootKey {
        /// The certificate that is listed already, or first.
        listed: KeyId,
        /// The other one.
        added: KeyId,
    },
    /// The new document breaks a rule of its kind, or a limit.
    #[error("the new document: {0}")]
    Exact(#[from] ExactError),
    /// The new document reads back as another one.
    #[error("the new document does not read back as it was made")]
    ReadBack,
}
