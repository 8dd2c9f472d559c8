//! One of every page in every state, for the gallery and the tests. `say` is applied to each text that is not ours.

use domain::branding::Link;
use domain::details::Said;
use domain::language::Language;
use domain::time::{Timestamp, Ttl};
use pages::*;

pub(crate) type Say<'a> = &'a dyn Fn(&str) -> String;

pub(crate) fn link(text: &str) -> Link {
    text.parse().expect("is a link")
}

fn form(say: Say<'_>, action: &str) -> Form {
    Form { action: say(action), csrf_token: say("q3Jx0bZ5"), hidden: vec![(say("flow"), say("flow_01")), (say("hop"), say("2"))] }
}

pub(crate) fn client(say: Say<'_>) -> Client {
    Client {
        name: say("Photo Garden"),
        logo: None,
        home: Some(link("https://photos.example/")),
        terms: Some(link("https://photos.example/terms")),
        privacy: Some(link("https://photos.example/privacy?a=1&b=2")),
    }
}

/// A payment, in words, and what the words do not mention.
fn details(say: Say<'_>) -> Vec<DetailLine> {
    let said = vec![Said::Words(say("Print ")), Said::Value(say("12")), Said::Words(say(" pictures of ")), Said::Value(say("Wonderland"))];
    let rest = vec![("paper".to_owned(), say("matt, 10 × 15"))];
    vec![DetailLine { api: say("Print shop"), said: Language::ALL.map(|language| (language, (said.clone(), rest.clone()))).into() }]
}

fn scopes(say: Say<'_>) -> Vec<ScopeLine> {
    let ours = ["openid", "profile", "email", "phone", "address", "offline_access", "account", "admin"];
    let mut lines: Vec<_> = ours.map(|scope| ScopeLine { scope: scope.to_owned(), description: None }).into();
    lines.push(ScopeLine { scope: say("albums:read"), description: Some(say("Look at your albums")) });
    lines.push(ScopeLine { scope: say("albums:write"), description: None });
    lines
}

fn login(say: Say<'_>) -> LoginPage {
    LoginPage {
        form: form(say, "/t/acme/login"),
        step: LoginStep::Both,
        identifier: String::new(),
        client: Some(client(say)),
        notice: None,
        trouble: None,
        remember: Some(false),
        forgot: Some(say("/t/acme/password/forgot")),
        other_account: None,
        may_cancel: true,
    }
}

/// The pages, each under a name for its file.
pub(crate) fn pages(say: Say<'_>) -> Vec<(String, Box<dyn Page>)> {
    let mut all: Vec<(String, Box<dyn Page>)> = Vec::new();
    let mut add = |name: &str, page: Box<dyn Page>| all.push((name.to_owned(), page));
    let alice = say("alice@example.com");
    add("login", Box::new(login(say)));
    add("login-plain", Box::new(LoginPage { client: None, remember: None, may_cancel: false, ..login(say) }));
    add(
        "login-identifier",
        Box::new(LoginPage { step: LoginStep::Identifier, other_account: Some(say("/t/acme/accounts")), ..login(say) }),
    );
    let second = LoginPage {
        step: LoginStep::Password,
        identifier: alice.clone(),
        other_account: Some(say("/t/acme/login?again")),
        remember: Some(true),
        ..login(say)
    };
    add("login-password", Box::new(second.clone()));
    let troubles = [
        ("credentials", LoginTrouble::WrongCredentials),
        ("locked-1", LoginTrouble::TryAgainIn { minutes: 1 }),
        ("locked-15", LoginTrouble::TryAgainIn { minutes: 15 }),
        ("form-expired", LoginTrouble::FormExpired),
        ("empty", LoginTrouble::Empty),
        ("unavailable", LoginTrouble::Unavailable),
    ];
    for (name, trouble) in troubles {
        add(&format!("login-{name}"), Box::new(LoginPage { trouble: Some(trouble), identifier: alice.clone(), ..login(say) }));
    }
    for (name, notice) in
        [("session", LoginNotice::SessionExpired), ("confirm", LoginNotice::ConfirmItsYou), ("changed", LoginNotice::PasswordChanged)]
    {
        add(&format!("login-notice-{name}"), Box::new(LoginPage { notice: Some(notice), ..second.clone() }));
    }
    let account = |id: &str, name: &str, email: Option<&str>, is_signed_in| AccountChoice {
        id: say(id),
        name: say(name),
        email: email.map(say),
        is_signed_in,
    };
    add(
        "choose-account",
        Box::new(ChooseAccountPage {
            form: form(say, "/t/acme/accounts"),
            client: Some(client(say)),
            accounts: vec![
                account("1", "Alice Liddell", Some("alice@example.com"), true),
                account("2", "Team mailbox", Some("team-with-a-long-name@departments.example.com"), false),
                account("3", "白兔", None, true),
            ],
        }),
    );
    add(
        "consent",
        Box::new(ConsentPage {
            form: form(say, "/t/acme/consent"),
            client: Client { logo: None, ..client(say) },
            account: alice.clone(),
            scopes: scopes(say),
            details: Vec::new(),
            remember: Some(true),
            other_account: Some(say("/t/acme/accounts")),
        }),
    );
    add(
        "consent-logo",
        Box::new(ConsentPage {
            form: form(say, "/t/acme/consent"),
            client: Client { logo: Some(link("https://photos.example/logo.png")), home: None, terms: None, privacy: None, ..client(say) },
            account: alice.clone(),
            scopes: scopes(say).split_off(8),
            details: details(say),
            remember: None,
            other_account: None,
        }),
    );
    add("device-code", Box::new(DeviceCodePage { form: form(say, "/t/acme/device"), user_code: String::new(), trouble: None }));
    for (name, trouble) in [
        ("unknown", DeviceTrouble::UnknownCode),
        ("locked", DeviceTrouble::TryAgainIn { minutes: 2 }),
        ("form-expired", DeviceTrouble::FormExpired),
    ] {
        let page = DeviceCodePage { form: form(say, "/t/acme/device"), user_code: say("WDJB-MJHT"), trouble: Some(trouble) };
        add(&format!("device-code-{name}"), Box::new(page));
    }
    add(
        "device-confirm",
        Box::new(DeviceConfirmPage {
            form: form(say, "/t/acme/device"),
            client: client(say),
            user_code: say("WDJB-MJHT"),
            source: Some(say("192.0.2.7")),
            account: alice.clone(),
            scopes: scopes(say).into_iter().take(3).collect(),
            other_account: Some(say("/t/acme/accounts")),
        }),
    );
    let logout =
        LogoutPage { form: form(say, "/t/acme/logout"), accounts: vec![alice.clone(), say("Team mailbox")], client: Some(client(say)) };
    add("logout-plain", Box::new(LogoutPage { client: None, ..logout.clone() }));
    add("logout", Box::new(logout));
    add("logged-out", Box::new(LoggedOutPage { frames: Vec::new(), next: None, client: None, login: Some(say("/t/acme/login")) }));
    add(
        "logged-out-frames",
        Box::new(LoggedOutPage {
            frames: vec![link("https://photos.example/out?sid=1&iss=x"), link("https://mail.example/out")],
            next: Some("https://photos.example/bye?state=%22%3E".parse().expect("is a destination")),
            client: Some(client(say)),
            login: None,
        }),
    );
    let kinds = [
        ("unknown-client", ErrorKind::UnknownClient),
        ("bad-redirect", ErrorKind::BadRedirect),
        ("bad-request", ErrorKind::BadRequest),
        ("expired", ErrorKind::Expired),
        ("link-expired", ErrorKind::LinkExpired),
        ("cookies", ErrorKind::CookiesMissing),
        ("not-found", ErrorKind::NotFound),
        ("too-many-1", ErrorKind::TooManyRequests { minutes: 1 }),
        ("too-many-5", ErrorKind::TooManyRequests { minutes: 5 }),
        ("unavailable", ErrorKind::Unavailable),
    ];
    for (name, kind) in kinds {
        let page = ErrorPage {
            kind,
            code: say("invalid_request"),
            request_id: Some(say("019aa7c2-7a1e-7c3b-9f58-2f0b8e3d51aa")),
            detail: (name == "bad-redirect").then(|| say("redirect_uri is not registered for this client")),
            start: (name == "expired").then(|| say("/t/acme/account")),
        };
        add(&format!("error-{name}"), Box::new(page));
    }
    add(
        "form-post",
        Box::new(FormPostPage {
            action: "https://photos.example/callback?x=%22%3E".parse().expect("is a destination"),
            fields: vec![(say("code"), say("abc")), (say("state"), say("xyz"))],
            client: Some(client(say)),
        }),
    );
    add(
        "forgot-password",
        Box::new(ForgotPasswordPage {
            form: form(say, "/t/acme/password/forgot"),
            identifier: alice.clone(),
            is_empty: false,
            back: Some(say("/t/acme/login")),
        }),
    );
    add(
        "forgot-password-empty",
        Box::new(ForgotPasswordPage { form: form(say, "/x"), identifier: String::new(), is_empty: true, back: None }),
    );
    let new_password = |reason, trouble| NewPasswordPage {
        form: form(say, "/t/acme/password/new"),
        reason,
        identifier: alice.clone(),
        min_length: 12,
        trouble,
        other_account: (reason == PasswordReason::Required).then(|| say("/t/acme/interaction/x/accounts")),
        back: matches!(reason, PasswordReason::Change | PasswordReason::RequiredAgain).then(|| say("/t/acme/account")),
    };
    add("password-required", Box::new(new_password(PasswordReason::Required, None)));
    add("password-required-again", Box::new(new_password(PasswordReason::RequiredAgain, Some(PasswordTrouble::WrongCurrent))));
    add("password-reset", Box::new(new_password(PasswordReason::Reset, None)));
    add("password-change", Box::new(new_password(PasswordReason::Change, None)));
    for (name, trouble) in [
        ("wrong-current", PasswordTrouble::WrongCurrent),
        ("not-the-same", PasswordTrouble::NotTheSame),
        ("too-short", PasswordTrouble::TooShort),
        ("too-long", PasswordTrouble::TooLong),
        ("too-common", PasswordTrouble::TooCommon),
        ("too-similar", PasswordTrouble::TooSimilar),
        ("locked", PasswordTrouble::TryAgainIn { minutes: 3 }),
        ("form-expired", PasswordTrouble::FormExpired),
    ] {
        add(&format!("password-{name}"), Box::new(new_password(PasswordReason::Change, Some(trouble))));
    }
    let email = say("new@example.com");
    for (name, message) in [
        ("reset-sent", Message::ResetSent),
        ("password-changed", Message::PasswordChanged),
        ("verification-sent", Message::VerificationSent { email: email.clone() }),
        ("email-verified", Message::EmailVerified),
        ("email-change-sent", Message::EmailChangeSent { email: email.clone() }),
        ("email-changed", Message::EmailChanged),
        ("device-allowed", Message::DeviceAllowed),
        ("device-denied", Message::DeviceDenied),
    ] {
        let next = (!name.starts_with("device")).then(|| say("/t/acme/login"));
        add(&format!("message-{name}"), Box::new(MessagePage { message, next }));
    }
    let email_change = |trouble| EmailChangePage {
        form: form(say, "/t/acme/account/email"),
        current: Some(alice.clone()),
        email: email.clone(),
        trouble,
        back: Some(say("/t/acme/account")),
    };
    add(
        "confirm-email",
        Box::new(ConfirmEmailPage { form: form(say, "/t/acme/account/email/verify/ev1_x"), email: say("alice@example.com") }),
    );
    add("email-change", Box::new(email_change(None)));
    add("email-change-first", Box::new(EmailChangePage { current: None, back: None, ..email_change(None) }));
    for (name, trouble) in [
        ("bad-address", EmailTrouble::BadAddress),
        ("wrong-password", EmailTrouble::WrongPassword),
        ("locked", EmailTrouble::TryAgainIn { minutes: 1 }),
        ("form-expired", EmailTrouble::FormExpired),
    ] {
        add(&format!("email-change-{name}"), Box::new(email_change(Some(trouble))));
    }
    let at = Timestamp::from_seconds(1_793_000_000);
    let session = |id: &str, device: &str, place: Option<&str>, is_this_one| SessionRow {
        id: say(id),
        device: say(device),
        place: place.map(say),
        signed_in_at: at,
        last_used_at: at.plus(Ttl::hours(30)),
        is_this_one,
    };
    let account = AccountPage {
        csrf_token: say("q3Jx0bZ5"),
        notice: None,
        username: Some(say("alice")),
        display_name: say("Alice Liddell"),
        is_name_refused: false,
        email: Some(alice),
        is_email_verified: true,
        password_changed_at: Some(at),
        sessions: vec![
            session("s1", "Firefox on Linux", Some("Zürich, Switzerland"), true),
            session("s2", "Safari on iPhone", Some("Lyon, France"), false),
            session("s3", "Chrome on Windows", None, false),
        ],
        applications: vec![
            ConnectedApp { id: say("c1"), name: say("Photo Garden"), allowed_at: at, scopes: scopes(say).into_iter().take(3).collect() },
            ConnectedApp { id: say("c2"), name: say("Calendar"), allowed_at: at, scopes: scopes(say).split_off(8) },
        ],
        waiting: Vec::new(),
        profile_action: say("/t/acme/account/profile"),
        email_change: Some(say("/t/acme/account/email")),
        verify_action: None,
        password_change: say("/t/acme/account/password"),
        end_session_action: say("/t/acme/account/sessions/end"),
        end_other_sessions_action: say("/t/acme/account/sessions/end-others"),
        revoke_action: say("/t/acme/account/applications/revoke"),
        decide_action: say("/t/acme/account/requests/decide"),
        export: say("/t/acme/account/export"),
        sign_out: say("/t/acme/logout"),
        account: say("alice@example.com"),
        other_account: say("/t/acme/account/accounts"),
    };
    let bare = AccountPage {
        notice: Some(Message::PasswordChanged),
        is_name_refused: true,
        username: None,
        email: None,
        password_changed_at: None,
        sessions: vec![SessionRow { device: String::new(), ..session("s1", "", None, true) }],
        applications: Vec::new(),
        ..account.clone()
    };
    let unverified = AccountPage { is_email_verified: false, verify_action: Some(say("/t/acme/account/email/verify")), ..account.clone() };
    let request = |id: &str, message: Option<&str>, place: Option<&str>| WaitingRequest {
        id: say(id),
        client: say("Photo Garden"),
        binding_message: message.map(say),
        place: place.map(say),
        asked_at: at,
        scopes: scopes(say).into_iter().take(2).collect(),
    };
    let asked = AccountPage {
        waiting: vec![request("r1", Some("W4SCT: 12.50 €"), Some("192.0.2.7")), request("r2", None, None)],
        ..account.clone()
    };
    add("account-asked", Box::new(asked));
    add("account", Box::new(account));
    add("account-bare", Box::new(bare));
    add("account-unverified", Box::new(unverified));
    all
}

/// The mails.
pub(crate) fn mails(say: Say<'_>) -> Vec<(&'static str, Box<dyn MailBody>)> {
    let at = Timestamp::from_seconds(1_793_000_000);
    let account = say("alice");
    let page = link("https://id.example/t/acme/x?token=abc&y=1");
    vec![
        ("mail-verification", Box::new(VerificationMail { link: page.clone(), minutes: 60 })),
        ("mail-reset", Box::new(PasswordResetMail { account: account.clone(), link: page.clone(), minutes: 1 })),
        ("mail-email-changed", Box::new(EmailChangedMail { account: account.clone(), new_email: say("new@example.com"), at })),
        (
            "mail-sign-in",
            Box::new(NewSignInMail {
                account: account.clone(),
                device: say("Firefox on Linux"),
                place: Some(say("Zürich, Switzerland")),
                at,
                link: page.clone(),
            }),
        ),
        (
            "mail-request",
            Box::new(BackchannelRequestMail {
                account,
                client: say("Photo Garden"),
                binding_message: Some(say("W4SCT")),
                place: None,
                at,
                link: page,
            }),
        ),
    ]
}
