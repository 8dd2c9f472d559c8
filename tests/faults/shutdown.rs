//! SIGTERM: what was asked is answered, then the process ends in order.

use std::time::{Duration, Instant};

use crate::node::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_is_answered_after_sigterm_and_the_exit_code_is_zero() {
    let site = Site::sqlite();
    let node = site.start().await;
    let admin = node.caller().bearing(&site.admin_token());
    admin.make_tenant().await;
    let users: Vec<_> = (0..24).map(|number| format!("user-{number}")).collect();
    for user in &users {
        admin.make_user(user).await;
    }
    // Passwords are checked two at a time, so that most of these wait inside the server when the signal comes.
    let caller = node.caller();
    let mut logins = tokio::task::JoinSet::new();
    for user in users {
        let caller = caller.clone();
        logins.spawn(async move { caller.login(&user).await });
    }
    let first = logins.join_next().await.expect("some").expect("it ran").expect("an answer");
    assert_eq!(first.status, 200, "{}", first.text);
    let still_waiting = logins.len();
    node.ask_to_stop();
    let asked = Instant::now();
    let answers = logins.join_all().await;
    let ended = node.ended(Duration::from_secs(60)).await;
    eprintln!("{still_waiting} logins were in flight; ended after {:?}", asked.elapsed());
    assert!(ended.status.success(), "{}: {}", ended.status, ended.log);
    for answer in answers {
        let answer = answer.unwrap_or_else(|error| panic!("a request in flight was dropped: {error:?}\n{}", ended.log));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert!(asked.elapsed() < Duration::from_secs(20), "connections that nobody uses must not hold up the end");

    // All sessions that were acknowledged are there.
    let node = site.start().await;
    node.caller().refresh(&first.word("refresh_token")).await.expect("an answer").is(200);
    node.stop().await;
}
