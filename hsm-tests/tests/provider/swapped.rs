//! A token that is gone, comes back, cannot be read, or is another one with the same label. Real SoftHSM tokens; the
//! shim counts who got a PIN.

use std::path::Path;
use std::time::{Duration, Instant};

use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::soak;
use touchmarkd::token::{HelperProgram, Limits, Presence, TokenError};

use crate::bench::{LABEL, until};
use crate::shimmed::Shimmed;

const PATIENCE: Duration = Duration::from_secs(30);

/// Signs again after one login; the time since the token is there again.
async fn recovers(at: &Shimmed, since: Instant) -> Duration {
    until(&at.token, PATIENCE, |state| state.presence == Presence::Present).await;
    let took = since.elapsed();
    assert!(!at.token.state().logged_in);
    at.login().await.unwrap();
    assert!(at.verifies(&at.sign().await.unwrap()));
    took
}

/// Nobody's PIN reaches a token, whatever is asked.
async fn no_pin_is_sent(at: &Shimmed, refusal: impl Fn(&TokenError) -> bool) {
    at.shim.forget();
    for _ in 0..3 {
        let (login, sign) = (at.login().await.unwrap_err(), at.sign().await.unwrap_err());
        assert!(refusal(&login) && refusal(&sign), "{login:?}, {sign:?}");
    }
    assert_eq!(at.logins(), 0);
}

#[tokio::test]
async fn another_token_of_the_same_label_gets_no_pin_and_the_right_one_is_back_within_two_seconds() {
    let at = Shimmed::with(Limits::default()).await;
    at.hsm.exchange();
    at.hsm.add_token(LABEL);
    at.hsm.exchange();
    let mut worst = 0;
    for _ in 0..soak::rounds(3, 50) {
        at.hsm.exchange();
        until(&at.token, PATIENCE, |state| matches!(state.presence, Presence::Mismatch(_))).await;
        no_pin_is_sent(&at, |error| matches!(error, TokenError::Mismatch { .. })).await;
        at.hsm.exchange();
        worst = worst.max(recovers(&at, Instant::now()).await.as_millis());
    }
    soak::at_most("recovery after another token in its place, ms", worst, 2000);
}

#[tokio::test]
async fn a_token_that_was_gone_is_back_within_two_seconds() {
    let at = Shimmed::with(Limits::default()).await;
    let mut worst = 0;
    for _ in 0..soak::rounds(3, 50) {
        at.hsm.pull_out();
        until(&at.token, PATIENCE, |state| state.presence == Presence::Absent).await;
        no_pin_is_sent(&at, |error| *error == TokenError::NotPresent).await;
        at.hsm.put_back();
        worst = worst.max(recovers(&at, Instant::now()).await.as_millis());
    }
    soak::at_most("recovery after a token was gone, ms", worst, 2000);
}

#[tokio::test]
async fn a_token_that_is_destroyed_while_in_use_is_absent_and_its_copy_is_taken() {
    let at = Shimmed::with(Limits::default()).await;
    let copy = |from: &Path, to: &Path| Cli::new(tool("cp")).arg("-a").arg(from).arg(to).ok();
    let kept = at.hsm.tokens().with_file_name("copy");
    copy(&at.hsm.tokens(), &kept);
    at.hsm.delete_token(LABEL);
    until(&at.token, PATIENCE, |state| state.presence == Presence::Absent).await;
    no_pin_is_sent(&at, |error| *error == TokenError::NotPresent).await;
    std::fs::remove_dir_all(at.hsm.tokens()).unwrap();
    copy(&kept, &at.hsm.tokens());
    recovers(&at, Instant::now()).await;
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_not_there() {
    // Root reads everything; without these two it reads what its mode says.
    let mut helper = HelperProgram::touchmarkd(shipped("touchmarkd"));
    if rustix::process::geteuid().is_root() {
        let mut arguments = vec!["--bounding-set".into(), "-dac_override,-dac_read_search".into()];
        arguments.push(helper.program.into());
        arguments.append(&mut helper.arguments);
        helper = HelperProgram { program: tool("setpriv"), arguments };
    }
    let at = Shimmed::run_by(helper, Limits::default()).await;
    let mode = |mode: &str| Cli::new(tool("chmod")).arg(mode).arg(at.hsm.tokens()).ok();
    mode("000");
    until(&at.token, PATIENCE, |state| state.presence != Presence::Present).await;
    no_pin_is_sent(&at, |error| matches!(error, TokenError::NotPresent | TokenError::Failed { .. })).await;
    mode("700");
    recovers(&at, Instant::now()).await;
}

/// Not even in the moment before anybody has looked: another token in the very same slot.
#[tokio::test]
async fn a_pin_is_sent_to_no_other_token_in_the_same_slot() {
    let at = Shimmed::with(Limits { probe: Duration::from_secs(3600), ..Limits::default() }).await;
    at.shim.forget();
    at.order("C_GetTokenInfo always wrong");
    let refused = at.login().await.unwrap_err();
    assert!(matches!(refused, TokenError::NotPresent | TokenError::Mismatch { .. }), "{refused:?}");
    assert_eq!(at.logins(), 0);
    at.token.refresh().await;
    assert!(matches!(at.token.state().presence, Presence::Mismatch(_)));

    at.order("");
    at.login().await.unwrap();
    at.shim.forget();
    // A lost session would be mended with the PIN that is held.
    at.order("C_Sign once before b3\nC_GetTokenInfo always wrong");
    let refused = at.sign().await.unwrap_err();
    assert!(matches!(refused, TokenError::NotPresent | TokenError::Mismatch { .. }), "{refused:?}");
    assert_eq!(at.logins(), 0);
}
