use super::*;

fn caps() -> Caps {
    Caps { each: 2, all: 3, idle: Duration::from_secs(60) }
}

fn is_closed(member: &Member) -> bool {
    member.state.closed.is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_of_one_uid_its_own_longest_silent_goes() {
    let register = Register::new(caps());
    let other = register.enter(2);
    tokio::time::advance(Duration::from_secs(1)).await;
    let first = register.enter(1);
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = register.enter(1);
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(first.requests().begin()); // was heard last
    let third = register.enter(1);
    assert!(is_closed(&second));
    assert!(![&first, &third, &other].into_iter().any(is_closed));
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_of_all_the_longest_silent_goes_and_the_newcomer_stays() {
    let register = Register::new(caps());
    let mut members = Vec::new();
    for uid in 0..4 {
        members.push(register.enter(uid));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(members.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(register.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn strangers_go_before_those_who_may_and_the_busy_go_last() {
    let register = Register::new(caps());
    let busy = register.enter(1);
    let request = busy.requests().begin();
    tokio::time::advance(Duration::from_secs(5)).await;
    let idle = register.enter(2);
    tokio::time::advance(Duration::from_secs(5)).await;
    let stranger = register.enter(3);
    stranger.is_stranger();
    let _fourth = register.enter(4);
    assert!(is_closed(&stranger) && !is_closed(&idle) && !is_closed(&busy));
    let _fifth = register.enter(5);
    assert!(is_closed(&idle) && !is_closed(&busy));
    drop(request);
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_a_request_closes_and_a_request_under_way_does_not() {
    let register = Register::new(caps());
    let (idle, busy) = (register.enter(1), register.enter(2));
    let request = busy.requests().begin();
    tokio::time::advance(Duration::from_secs(61)).await;
    register.close_idle();
    assert!(is_closed(&idle) && !is_closed(&busy));
    drop(request);
    register.close_idle();
    assert!(!is_closed(&busy), "the end of a request counts as being heard");
    tokio::time::advance(Duration::from_secs(60)).await;
    register.close_idle();
    assert!(is_closed(&busy));
}

#[tokio::test]
async fn a_place_is_given_back() {
    let register = Register::new(caps());
    for _ in 0..10 {
        let member = register.enter(1);
        assert!(!is_closed(&member));
    }
    assert_eq!(register.count(), 0);
}
