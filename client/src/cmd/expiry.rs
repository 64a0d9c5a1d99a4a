//! `expiry`: what is due to expire, for people and for monitoring. Needs no daemon.
use std::time::Duration;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::{Document as _, Expires, Instant, RoleName, Trusted};

use crate::args::ExpiryArgs;
use crate::context::Ctx;
use crate::error::Error;
use crate::image::Image;
use crate::reader;
use crate::table::Table;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One row.
struct Row {
    gun: String,
    role: String,
    expires: Instant,
}

/// Prints when everything ends. The server renews timestamps, and snapshots that it holds the key of, by itself;
/// they are listed and never due.
///
/// # Errors
/// `EXPIRED` if something is due: exit 1.
pub async fn run(ctx: &Ctx, args: ExpiryArgs) -> Result<(), Error> {
    let images = if args.images.is_empty() {
        known(ctx)?
    } else {
        args.images.iter().map(|written| Image::parse(written)).collect::<Result<Vec<_>, _>>()?
    };
    let by = ctx.now.plus(DAY * args.within);
    let mut rows = Vec::new();
    let mut failed = None;
    for image in &images {
        match reader::read(ctx, image).await {
            Ok(view) => rows.extend(of(image, &view.trusted)),
            // One repository that cannot be read hides nothing about the others.
            Err(error) => {
                ctx.out.warn(&format!("{}: {}", image.gun(), error.message));
                failed.get_or_insert(error);
            }
        }
    }
    let is_due = |row: &Row| row.expires < by && row.role != "timestamp";
    let mut table = Table::new(&["REPOSITORY", "ROLE", "EXPIRES", "DUE"]);
    for row in &rows {
        let due = if is_due(row) { "due" } else { "" };
        table.row([row.gun.clone(), row.role.clone(), row.expires.to_string(), due.to_owned()]);
    }
    let document: Vec<_> = rows
        .iter()
        .map(|row| json!({
            "repository": row.gun, "role": row.role, "expires": row.expires.to_string(), "due": is_due(row),
        }))
        .collect();
    let text = if table.is_empty() { "No repository is known here.".to_owned() } else { table.to_string() };
    ctx.out.answer(&text, &json!({ "expiry": document }))?;
    if let Some(error) = failed {
        return Err(error);
    }
    match rows.iter().find(|row| is_due(row)) {
        None => Ok(()),
        Some(row) => Err(Error::new(
            Reason::Expired,
            format!("{} of {} ends at {}, within {} days", row.role, row.gun, row.expires, args.within),
        )
        .hint(format!("touchmark refresh {}", row.gun))),
    }
}

/// Every repository whose root is trusted here.
fn known(ctx: &Ctx) -> Result<Vec<Image>, Error> {
    let guns = ctx.trust_dir.guns()?;
    // A name that no registry could have was put there by somebody else.
    Ok(guns.iter().filter_map(|gun| Image::parse(gun.as_str()).ok()).collect())
}

fn of(image: &Image, trusted: &Trusted) -> Vec<Row> {
    let row = |role: String, expires: &Expires| Row {
        gun: image.gun().to_string(),
        role,
        expires: expires.instant(),
    };
    let mut rows = vec![row("root".to_owned(), trusted.root().expires())];
    let delegations = trusted
        .document(&RoleName::Targets)
        .into_iter()
        .flat_map(|targets| &targets.delegations.roles)
        .map(|role| RoleName::from(role.name.clone()));
    for role in std::iter::once(RoleName::Targets).chain(delegations) {
        if let Some(document) = trusted.document(&role) {
            rows.push(row(role.to_string(), document.expires()));
        }
    }
    rows.extend(trusted.snapshot_doc().map(|document| row("snapshot".to_owned(), document.expires())));
    rows.extend(trusted.timestamp_doc().map(|document| row("timestamp".to_owned(), document.expires())));
    rows
}
