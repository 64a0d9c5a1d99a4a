use super::*;

fn caps() -> Caps {
    Caps { each: 2, all: 3, requests: 4, ..Caps::default() }
}

fn enter(register: &Arc<Register>, uid: u32) -> Member {
    let member = register.enter(uid);
    member.admit();
    member
}

fn is_closed(member: &Member) -> bool {
    member.state.closed.is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_of_one_uid_its_own_longest_silent_goes() {
    let register = Register::new(caps());
    let other = enter(&register, 2);
    tokio::time::advance(Duration::from_secs(1)).await;
    let first = enter(&register, 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = enter(&register, 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(first.requests().begin()); // was heard last
    let third = enter(&register, 1);
    assert!(is_closed(&second));
    assert!(![&first, &third, &other].into_iter().any(is_closed));
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_of_all_the_longest_silent_goes_and_the_newcomer_stays() {
    let register = Register::new(caps());
    let mut members = Vec::new();
    for uid in 0..4 {
        members.push(enter(&register, uid));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(members.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(register.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn strangers_go_before_those_who_may_and_the_busy_go_last() {
    let register = Register::new(caps());
    let busy = enter(&register, 1);
    let request = busy.requests().begin();
    tokio::time::advance(Duration::from_secs(5)).await;
    let idle = enter(&register, 2);
    tokio::time::advance(Duration::from_secs(5)).await;
    let stranger = register.enter(3);
    let _fourth = enter(&register, 4);
    assert!(is_closed(&stranger) && !is_closed(&idle) && !is_closed(&busy));
    let _fifth = enter(&register, 5);
    assert!(is_closed(&idle) && !is_closed(&busy));
    drop(request);
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_a_request_closes_and_a_request_under_way_does_not() {
    let register = Register::new(caps());
    let (idle, busy) = (enter(&register, 1), enter(&register, 2));
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
        let member = enter(&register, 1);
        assert!(!is_closed(&member));
    }
    assert_eq!(register.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_asked_something_stays_before_those_who_never_did() {
    let register = Register::new(caps());
    let known = enter(&register, 1);
    drop(known.requests().begin());
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let silent = enter(&register, 1);
        let newcomer = enter(&register, 1);
        assert!(is_closed(&silent) && !is_closed(&newcomer));
    }
    assert!(!is_closed(&known));
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_of_requests_the_connection_with_the_most_of_them_goes() {
    let register = Register::new(Caps { each: 3, ..caps() });
    let (greedy, modest, other) = (enter(&register, 1), enter(&register, 1), enter(&register, 2));
    let _three = [(); 3].map(|()| greedy.requests().begin());
    let _theirs = [(); 4].map(|()| other.requests().begin());
    let _one = modest.requests().begin();
    assert!(![&greedy, &modest, &other].into_iter().any(is_closed));
    let _another = modest.requests().begin();
    assert!(is_closed(&greedy) && !is_closed(&modest) && !is_closed(&other));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_closes_its_connection_and_one_that_is_waited_for_does_not() {
    let register = Register::new(caps());
    let (unread, waiting) = (enter(&register, 1), enter(&register, 2));
    let (mut answer, mut watch) = (unread.requests().begin(), waiting.requests().begin());
    answer.is_now(Turn::Theirs);
    watch.is_now(Turn::Theirs);
    watch.is_now(Turn::Ours);
    tokio::time::advance(caps().unread - Duration::from_secs(1)).await;
    register.close_idle();
    assert!(!is_closed(&unread));
    answer.is_now(Turn::Theirs); // one part was taken, and there is another
    tokio::time::advance(caps().unread).await;
    register.close_idle();
    assert!(is_closed(&unread) && !is_closed(&waiting));
}

#[tokio::test]
async fn newcomers_wait_for_those_who_are_told_to_go() {
    use futures_util::FutureExt as _;
    let register = Register::new(caps());
    let mut going: Vec<_> = (0..caps().all + CLOSING).map(|_| register.enter(1)).collect();
    assert_eq!(register.count(), caps().each);
    let mut room = Box::pin(register.room());
    assert!((&mut room).now_or_never().is_none());
    drop(going.pop());
    room.await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_spoken_and_was_not_heard_stays_before_those_who_have_asked() {
    let register = Register::new(caps());
    let asked = [(); 2].map(|()| enter(&register, 1));
    for member in &asked {
        drop(member.requests().begin());
    }
    let newcomer = enter(&register, 1);
    newcomer.has_spoken();
    let _next = enter(&register, 1);
    assert!(asked.iter().all(is_closed) && !is_closed(&newcomer));
}

#[tokio::test(start_paused = true)]
async fn few_have_spoken_and_are_not_heard_and_none_of_them_for_long() {
    use futures_util::FutureExt as _;
    let register = Register::new(Caps::default());
    let is_open = || register.room().now_or_never().is_some();
    let members: Vec<_> = (0..UNHEARD).map(|_| register.enter(1)).collect();
    members.iter().for_each(Member::has_spoken);
    assert!(!is_open());
    members[0].was_heard();
    assert!(is_open());
    members[0].has_spoken();
    assert!(!is_open());
    tokio::time::advance(HEARING).await;
    assert!(is_open(), "whatever keeps them from being heard keeps nobody out");
}
