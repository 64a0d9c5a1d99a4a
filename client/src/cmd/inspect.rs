//! `inspect`: everything that is signed for a repository, by whom, and until when. The JSON has the fields of
//! `docker trust inspect` and more.
use std::collections::BTreeMap;

use serde::Serialize;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Document, PublicKey, RoleName, RootCertificate, Signed, TargetName, shown};

use super::verify::{cached, ground};
use crate::args::InspectArgs;
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader::{self, View};

/// What Docker calls the targets role among the signers of a tag.
const REPO_ADMIN: &str = "Repo Admin";

#[derive(Serialize)]
struct Report {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "SignedTags")]
    signed_tags: Vec<Tag>,
    #[serde(rename = "Signers")]
    signers: Vec<KeyHolder>,
    #[serde(rename = "AdministrativeKeys")]
    administrative_keys: Vec<KeyHolder>,
    repository: String,
    trust_server: String,
    trust: &'static str,
    cached: serde_json::Value,
    roles: Vec<RoleState>,
    root_certificates: Vec<Certificate>,
}

#[derive(Serialize)]
struct Certificate {
    id: String,
    expires: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    signed_tag: String,
    digest: String,
    signers: Vec<String>,
    #[serde(rename = "size")]
    size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyHolder {
    name: String,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Serialize)]
struct RoleState {
    role: String,
    version: u64,
    expires: String,
    keys: Vec<String>,
    threshold: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Prints the report of a repository, or of one tag of it.
///
/// # Errors
/// No trust data, or none to be believed; `TAG_NOT_SIGNED` when one tag was named.
pub async fn run(ctx: &Ctx, args: InspectArgs) -> Result<(), Error> {
    let image = Image::parse(&args.image)?;
    let view = reader::read(ctx, &image).await?;
    let mut tags = signed_tags(&view)?;
    if let Some(tag) = image.tag() {
        view.signed(tag)?.must_be(image.digest())?;
        tags.retain(|entry| entry.signed_tag == tag.as_str());
    }
    let report = Report {
        name: image.familiar().to_owned(),
        signed_tags: tags,
        signers: signers(&view),
        administrative_keys: vec![
            holder("Root", view.root_key_ids()),
            holder("Repository", &view.trusted.root().roles.targets.key_ids),
        ],
        repository: image.gun().to_string(),
        trust_server: view.server.to_string(),
        trust: ground(view.ground),
        cached: cached(&view.freshness),
        roles: roles(&view),
        root_certificates: root_certificates(&view),
    };
    ctx.out.answer(&text(&report), &report)
}

/// As Docker lists them: the digest that a pull would take, and everybody who signed that digest.
fn signed_tags(view: &View) -> Result<Vec<Tag>, Error> {
    let by_others: BTreeMap<&TargetName, Signed<'_>> = match view.broken.is_empty() {
        true => {
            let all = view.trusted.all();
            let all = all.map_err(|cause| Error::new(Reason::TrustDataInvalid, cause.to_string()))?;
            all.into_iter().map(|signed| (signed.tag, signed)).collect()
        }
        false => BTreeMap::new(), // what is broken cannot be listed; a warning has named it
    };
    let mut tags = Vec::new();
    for (tag, _) in view.tags()? {
        let signed = view.signed(&tag)?;
        let agree = by_others.get(&tag).map(|entry| entry.by.as_slice()).unwrap_or_default();
        let agree = agree.iter().filter(|(_, target)| target.sha256() == Some(&signed.digest));
        let mut signers: Vec<String> = agree.filter_map(|(role, _)| signer_name(role)).collect();
        if signers.is_empty() {
            signers.extend(signer_name(&signed.role));
        }
        tags.push(Tag {
            signed_tag: tag.to_string(),
            digest: signed.digest.to_string(),
            signers,
            size: signed.length,
        });
    }
    Ok(tags)
}

/// `targets/releases` is where everybody's word is collected, nobody's own.
fn signer_name(role: &RoleName) -> Option<String> {
    match role {
        RoleName::Delegation(_) if *role == RoleName::releases() => None,
        RoleName::Delegation(name) => Some(name.short().to_owned()),
        _ => Some(REPO_ADMIN.to_owned()),
    }
}

fn signers(view: &View) -> Vec<KeyHolder> {
    let documents = view.trusted.walk();
    let listed = documents.iter().flat_map(|(_, document)| &document.delegations.roles);
    listed
        .filter(|role| RoleName::Delegation(role.name.clone()) != RoleName::releases())
        .map(|role| holder(role.name.short(), &role.key_ids))
        .collect()
}

fn holder(name: &str, ids: &[touchmark_tuf::KeyId]) -> KeyHolder {
    KeyHolder { name: name.to_owned(), keys: ids.iter().map(|id| Key { id: id.to_string() }).collect() }
}

fn roles(view: &View) -> Vec<RoleState> {
    let trusted = &view.trusted;
    let root = trusted.root();
    let state =
        |role: &RoleName, document: Option<(u64, String)>, keys: &[touchmark_tuf::KeyId], threshold: u32| {
            let (version, expires) = document.unwrap_or_default();
            let problem =
                view.broken.iter().find(|(broken, _)| broken == role).map(|(_, cause)| cause.to_string());
            let keys = keys.iter().map(ToString::to_string).collect();
            RoleState { role: role.to_string(), version, expires, keys, threshold, problem }
        };
    let base = |role: RoleName, document: Option<(u64, String)>| {
        let keys = root.role(&role);
        let (ids, threshold) =
            keys.map_or((&[][..], 0), |keys| (keys.key_ids.as_slice(), keys.threshold.get()));
        state(&role, document, ids, threshold)
    };
    let mut all = vec![
        base(RoleName::Root, Some(dated(&**root))),
        base(RoleName::Timestamp, trusted.timestamp_doc().map(|document| dated(&**document))),
        base(RoleName::Snapshot, trusted.snapshot_doc().map(|document| dated(&**document))),
        base(RoleName::Targets, trusted.document(&RoleName::Targets).map(|document| dated(&**document))),
    ];
    for (_, parent) in trusted.walk() {
        for role in &parent.delegations.roles {
            let name = RoleName::Delegation(role.name.clone());
            let document = trusted.document(&name).map(|document| dated(&**document));
            all.push(state(&name, document, &role.key_ids, role.threshold.get()));
        }
    }
    all
}

fn root_certificates(view: &View) -> Vec<Certificate> {
    let keys = view.trusted.root().keys_of(&RoleName::Root);
    let read = |key: &PublicKey| Some((key.id(), RootCertificate::from_pem(key.public()).ok()?));
    keys.filter_map(read)
        .map(|(id, certificate)| Certificate {
            id: id.to_string(),
            expires: certificate.not_after().to_string(),
        })
        .collect()
}

fn dated(document: &impl Document) -> (u64, String) {
    (document.version().get(), document.expires().instant().to_string())
}

fn text(report: &Report) -> String {
    let mut text = format!("Signatures for {}\n\n", report.name);
    let tags = report.signed_tags.iter().map(|tag| tag.signed_tag.len());
    let holders =
        report.signers.iter().chain(&report.administrative_keys).map(|holder| holder.name.len() + 2);
    let width = tags.chain(holders).max().unwrap_or_default().max("root certificate".len());
    let mut line = |first: &str, rest: &str| {
        text += format!("{first:width$}  {rest}").trim_end();
        text.push('\n');
    };
    if report.signed_tags.is_empty() {
        line("no signed tags", "");
    } else {
        line("SIGNED TAG", &format!("{:64}  SIGNERS", "DIGEST"));
        for tag in &report.signed_tags {
            let signers = tag.signers.join(", ");
            line(&shown(&tag.signed_tag).to_string(), &format!("{}  {signers}", tag.digest));
        }
    }
    line("", "");
    for (title, holders) in
        [("Signers", &report.signers), ("Administrative keys", &report.administrative_keys)]
    {
        if holders.is_empty() {
            continue;
        }
        line(title, "");
        for holder in holders {
            for key in &holder.keys {
                line(&format!("  {}", holder.name), &key.id);
            }
        }
        line("", "");
    }
    line("ROLE", "VERSION  EXPIRES");
    for role in &report.roles {
        let version = if role.version == 0 { "-".to_owned() } else { role.version.to_string() };
        let expires = match (&role.problem, role.version) {
            (Some(problem), _) => problem.clone(),
            (None, 0) => "never signed".to_owned(),
            (None, _) => role.expires.clone(),
        };
        line(&role.role, &format!("{version:7}  {expires}"));
    }
    for certificate in &report.root_certificates {
        line("root certificate", &format!("{:7}  {}", "-", certificate.expires));
    }
    text
}
