# English. The file the others are held against: same keys, same variables (a test).
# Plain words, short sentences, no blame. `{ $minutes }`, `{ $count }` are numbers.

## Everywhere
error-prefix = Error:
footer-label = Legal and help
terms = Terms
privacy = Privacy
support = Help
next = Next
go-on = Continue
cancel = Cancel
save = Save
allow = Allow
deny = Don’t allow
identifier = E-mail or username
password = Password
continue-to = Continue to { $client }
signed-in-as = You are signed in as { $account }
other-account = Use another account

## Signing in
login-title = Sign in
login-button = Sign in
login-again = Sign in again
not-you = Not you?
stay-signed-in = Stay signed in
forgot-link = Forgot password?
choose-title = Choose an account
choose-signed-out = Signed out
notice-session-expired = You were signed out because you had been away for a while. Please sign in again.
notice-confirm = Please confirm that it’s you.
notice-password-changed = Your password has been changed. Sign in with the new one.

## What went wrong in a form
trouble-credentials = That didn’t work. Check your e-mail or username and your password.
trouble-try-again = There were too many attempts. Try again in { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
  }.
trouble-form-expired = This form was open for too long. Please try again.
trouble-empty = Please enter your e-mail or username.
trouble-unavailable = We can’t sign you in right now. Please try again in a moment.
trouble-wrong-current = That isn’t your current password.
trouble-not-the-same = The two passwords are not the same.
trouble-too-short = That password is too short. Use at least { $count ->
    [one] one character
   *[other] { $count } characters
  }.
trouble-too-long = That password is too long.
trouble-too-common = That password is easy to guess. Choose one that others don’t use.
trouble-too-similar = That password is too close to your name, your address or your last password.
trouble-unknown-code = That code isn’t valid, or it has expired. Check the code on your device.
trouble-bad-address = Enter another address, such as name@example.com.
trouble-name = Enter a name of 1 to 100 characters.

## Consent
consent-title = Allow access
consent-heading = { $client } would like access to your account
consent-wants = If you agree, it can:
consent-details = And it asks you to approve exactly this:
consent-remember = Don’t ask me again for this app
client-home = About the app
client-terms = Terms of the app
client-privacy = Privacy policy of the app
scope-openid = Know who you are
scope-profile = See your name and profile
scope-email = See your e-mail address
scope-phone = See your phone number
scope-address = See your postal address
scope-offline-access = Keep its access while you are not using it
scope-account = Manage your account and your sessions
scope-admin = Administer this organisation on your behalf

## Passwords
forgot-title = Forgot your password?
forgot-text = Tell us who you are, and we’ll e-mail you a link to choose a new one.
forgot-button = Send the link
back-to-login = Back to sign in
new-password-title = Choose a new password
new-password-required = Your organisation asks you to choose a new password before you go on.
new-password-account = For the account { $account }
new-password-reset = You will sign in with it from now on.
new-password-change = Your other sessions will be signed out.
new-password-hint = At least { $count ->
    [one] one character
   *[other] { $count } characters
  }. A few unrelated words work well.
current-password = Current password
new-password = New password
repeat-password = New password, once more
new-password-button = Save password

## Devices
device-title = Connect a device
device-text = Enter the code that your device shows.
device-code = Code
device-heading = Sign in to { $client } on your device?
device-compare = Make sure that your device shows exactly this code:
device-source = The device asked from the address { $address }.
device-wants = The device will be able to:
device-warning = Only go on if you started this yourself. If somebody sent you this code, don’t.
device-button = Connect

## What was done
message-look-in-spam = Nothing there after a few minutes? Look in your spam folder.
message-reset-sent-title = Check your e-mail
message-reset-sent-text = If there is an account for what you entered, a link to choose a new password is on its way.
message-password-changed-title = Password changed
message-password-changed-text = Use your new password from now on.
message-verification-sent-title = Confirm your e-mail address
message-verification-sent-text = We sent a link to { $email }. Open it to confirm that the address is yours.
message-email-verified-title = E-mail address confirmed
message-email-verified-text = Thank you. You can go on now.
message-email-change-sent-title = Confirm your new address
message-email-change-sent-text = We sent a link to { $email }. Your address changes when you open it.
message-email-changed-title = E-mail address changed
message-email-changed-text = We’ll write to your new address from now on.
message-device-allowed-title = Device connected
message-device-allowed-text = You can go back to your device and close this page.
message-device-denied-title = Device not connected
message-device-denied-text = Nothing was shared. You can close this page.

## Signing out
logout-title = Sign out
logout-heading = Do you want to sign out?
logout-asked-by = { $client } asks you to sign out
logout-stay = Stay signed in
logout-button = Sign out
logged-out-title = You are signed out
logged-out-text = You have been signed out of { $tenant }. On a shared computer, close the browser too.
back-to-client = Back to { $client }
logout-frame = Signing out of an app

## On the way back
form-post-title = One moment
form-post-text = You are being taken back. If nothing happens, press the button.
form-post-client = You are being taken back to { $client }. If nothing happens, press the button.

## Errors
error-what-to-do = What you can do
error-start = Start again
error-code = Error code
error-request = Request
error-detail = For developers
error-unknown-client-title = We don’t know this app
error-unknown-client-text = The app that sent you here is not registered with us.
error-unknown-client-advice = Go back to the app and try again. If it still fails, tell the people who run the app.
error-bad-redirect-title = This app can’t be opened safely
error-bad-redirect-text = The app asks us to send you to an address that is not registered for it, so we stopped here.
error-bad-redirect-advice = Don’t enter your password anywhere now. Tell the people who run the app, with the details below.
error-bad-request-title = The app made a mistake
error-bad-request-text = We could not understand what the app asked for.
error-bad-request-advice = Go back to the app and try again. If it still fails, tell the people who run the app, with the details below.
error-expired-title = This sign-in has expired
error-expired-text = It took too long, or it was finished in another tab.
error-expired-advice = Go back to the app and sign in again.
error-link-expired-title = This link no longer works
error-link-expired-text = Links from our e-mails work once and for a short time.
error-link-expired-advice = Ask for a new link, and open the newest e-mail.
error-cookies-missing-title = We could not check this form
error-cookies-missing-text = Your browser did not send the cookie that belongs to it.
error-cookies-missing-advice = Allow cookies for this site, close other tabs of it, and start again.
error-not-found-title = Page not found
error-not-found-text = There is nothing at this address.
error-not-found-advice = Check the address, or go back to the app you came from.
error-too-many-requests-title = Too many attempts
error-too-many-requests-text = To protect accounts, we slow down after many attempts.
error-too-many-requests-advice = Wait { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
  }, then try again.
error-unavailable-title = Something went wrong
error-unavailable-text = It is our fault, not yours, and nothing was changed.
error-unavailable-advice = Try again in a few minutes. If it still fails, write to us with the details below.

## Account
account-title = Your account
account-waiting = Waiting for your answer
account-waiting-text = Apps ask whether they may sign you in. Agree only to what you have just begun yourself, and only if the message there is the same.
account-waiting-message = Message: { $message }
account-waiting-since = Asked { $time }
account-profile = Profile
account-name = Name
account-username = Username
account-email = E-mail
account-verified = Confirmed
account-unverified = Not confirmed
account-email-change = Change e-mail
account-password-change = Change password
account-password-since = Changed on { $time }
account-sessions = Where you are signed in
account-sessions-text = End the sessions that you don’t recognise, and change your password.
account-unknown-device = Unknown device
account-this-session = This device
account-last-used = Last used { $time }
account-signed-in = Signed in { $time }
account-end-session = Sign out
account-end-others = Sign out everywhere else
account-applications = Apps with access
account-no-applications = No app has access to your account.
account-allowed = Allowed on { $time }
account-revoke = Remove access
account-data = Your data
account-data-text = Everything that is stored about you here, as a JSON file.
account-export = Download your data
confirm-email-text = Is { $email } your address? Then confirm it with the button.
email-change-title = Change your e-mail address
email-change-text = Your address is { $email }. It changes when you open the link that we send to the new one.
email-change-first = We’ll send a link to the address to make sure that it is yours.
new-email = New e-mail address
email-change-button = Send the link

## Mails
mail-link-life = The link works once, for { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
  }.
mail-link-plain = Or copy this address into your browser:
mail-not-you = If you didn’t ask for this, ignore this e-mail.
mail-fact-device = Device
mail-fact-place = Place
mail-fact-time = Time
mail-fact-new-email = New address
mail-verification-subject = Confirm your e-mail address for { $tenant }
mail-verification-text = Please confirm that this address is yours, so that { $tenant } can reach you and you can get back into your account.
mail-verification-button = Confirm address
mail-reset-subject = Choose a new password for { $tenant }
mail-reset-text = Somebody, we hope you, asked for a new password for { $account } at { $tenant }.
mail-reset-button = Choose a new password
mail-reset-not-you = If it wasn’t you, ignore this e-mail: your password stays as it is.
mail-email-changed-subject = Your e-mail address at { $tenant } was changed
mail-email-changed-text = The e-mail address of the account { $account } at { $tenant } was changed. We tell you at the old address, to be sure that it was you.
mail-email-changed-not-you = If it wasn’t you, write to support at once.
mail-sign-in-subject = New sign-in to { $tenant }
mail-sign-in-text = Somebody signed in to { $account } at { $tenant } from a place where this account was not used lately.
mail-sign-in-button = Look at your sessions
mail-sign-in-not-you = If it was you, there is nothing to do. If not, change your password at once.
mail-request-subject = An app waits for your answer at { $tenant }
mail-request-text = An app asks whether it may sign in to { $account } at { $tenant } for you. Look at your account to answer.
mail-request-button = Answer
mail-request-not-you = If you have not begun this yourself, refuse it there, or do nothing: it ends by itself.
mail-fact-app = App
mail-fact-message = Message
