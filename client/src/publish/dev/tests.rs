use super::*;

async fn refused(url: &str) -> bool {
    match refuse_dev(&url.parse().unwrap()).await {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.reason, Reason::PolicyRefused);
            true
        }
    }
}

#[tokio::test]
async fn this_machine_and_no_other() {
    for here in ["https://localhost:4443", "https://127.0.0.1", "https://127.8.9.1:1", "https://[::1]:4443"] {
        assert!(!refused(here).await, "{here}");
    }
    for there in ["https://192.0.2.1", "https://[2001:db8::1]:4443", "https://[::ffff:192.0.2.1]"] {
        assert!(refused(there).await, "{there}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_not_this_machine() {
    assert!(refused("https://nobody.invalid").await);
}

#[test]
fn one_outside_address_is_enough() {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(all_loopback([address("127.0.0.1"), address("::1")].into_iter()));
    assert!(!all_loopback([address("127.0.0.1"), address("192.0.2.1")].into_iter()));
    assert!(!all_loopback(std::iter::empty()));
}
