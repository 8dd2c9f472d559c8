# Deutsch

## Überall
error-prefix = Fehler:
footer-label = Rechtliches und Hilfe
terms = Nutzungsbedingungen
privacy = Datenschutz
support = Hilfe
next = Weiter
go-on = Weiter
cancel = Abbrechen
save = Speichern
allow = Erlauben
deny = Ablehnen
identifier = E-Mail oder Benutzername
password = Passwort
continue-to = Weiter zu { $client }
signed-in-as = Sie sind angemeldet als { $account }
other-account = Anderes Konto verwenden

## Anmelden
login-title = Anmelden
login-button = Anmelden
login-again = Erneut anmelden
not-you = Nicht Sie?
stay-signed-in = Angemeldet bleiben
forgot-link = Passwort vergessen?
choose-title = Konto auswählen
choose-signed-out = Abgemeldet
notice-session-expired = Sie wurden abgemeldet, weil Sie längere Zeit nicht aktiv waren. Bitte melden Sie sich erneut an.
notice-confirm = Bitte bestätigen Sie, dass Sie es sind.
notice-password-changed = Ihr Passwort wurde geändert. Melden Sie sich mit dem neuen an.

## Was in einem Formular nicht ging
trouble-credentials = Das hat nicht geklappt. Prüfen Sie E-Mail oder Benutzernamen und das Passwort.
trouble-try-again = Es waren zu viele Versuche. Versuchen Sie es in { $minutes ->
    [one] einer Minute
   *[other] { $minutes } Minuten
  } noch einmal.
trouble-form-expired = Dieses Formular war zu lange geöffnet. Bitte versuchen Sie es noch einmal.
trouble-empty = Bitte geben Sie Ihre E-Mail-Adresse oder Ihren Benutzernamen ein.
trouble-unavailable = Die Anmeldung ist gerade nicht möglich. Bitte versuchen Sie es gleich noch einmal.
trouble-wrong-current = Das ist nicht Ihr aktuelles Passwort.
trouble-not-the-same = Die beiden Passwörter stimmen nicht überein.
trouble-too-short = Dieses Passwort ist zu kurz. Verwenden Sie mindestens { $count ->
    [one] ein Zeichen
   *[other] { $count } Zeichen
  }.
trouble-too-long = Dieses Passwort ist zu lang.
trouble-too-common = Dieses Passwort ist leicht zu erraten. Wählen Sie eines, das andere nicht verwenden.
trouble-too-similar = Dieses Passwort ähnelt zu sehr Ihrem Namen, Ihrer Adresse oder Ihrem letzten Passwort.
trouble-unknown-code = Dieser Code ist ungültig oder abgelaufen. Prüfen Sie den Code auf Ihrem Gerät.
trouble-bad-address = Geben Sie eine andere Adresse ein, zum Beispiel name@example.com.
trouble-name = Geben Sie einen Namen mit 1 bis 100 Zeichen ein.

## Zustimmung
consent-title = Zugriff erlauben
consent-heading = { $client } möchte auf Ihr Konto zugreifen
consent-wants = Wenn Sie zustimmen, darf die App:
consent-details = Und genau das sollen Sie genehmigen:
consent-remember = Bei dieser App nicht mehr fragen
client-home = Über die App
client-terms = Nutzungsbedingungen der App
client-privacy = Datenschutzerklärung der App
scope-openid = Wissen, wer Sie sind
scope-profile = Ihren Namen und Ihr Profil sehen
scope-email = Ihre E-Mail-Adresse sehen
scope-phone = Ihre Telefonnummer sehen
scope-address = Ihre Postanschrift sehen
scope-offline-access = Den Zugriff behalten, auch wenn Sie die App nicht benutzen
scope-account = Ihr Konto und Ihre Sitzungen verwalten
scope-admin = Diese Organisation in Ihrem Namen verwalten

## Passwörter
forgot-title = Passwort vergessen?
forgot-text = Sagen Sie uns, wer Sie sind. Wir senden Ihnen per E-Mail einen Link, mit dem Sie ein neues Passwort wählen.
forgot-button = Link senden
back-to-login = Zurück zur Anmeldung
new-password-title = Neues Passwort wählen
new-password-required = Ihre Organisation bittet Sie, ein neues Passwort zu wählen, bevor es weitergeht.
new-password-account = Für das Konto { $account }
new-password-reset = Mit diesem Passwort melden Sie sich künftig an.
new-password-change = Ihre anderen Sitzungen werden abgemeldet.
new-password-hint = Mindestens { $count ->
    [one] ein Zeichen
   *[other] { $count } Zeichen
  }. Gut sind einige Wörter ohne Zusammenhang.
current-password = Aktuelles Passwort
new-password = Neues Passwort
repeat-password = Neues Passwort wiederholen
new-password-button = Passwort speichern

## Geräte
device-title = Gerät verbinden
device-text = Geben Sie den Code ein, den Ihr Gerät anzeigt.
device-code = Code
device-heading = Auf Ihrem Gerät bei { $client } anmelden?
device-compare = Prüfen Sie, dass Ihr Gerät genau diesen Code anzeigt:
device-source = Das Gerät hat von der Adresse { $address } aus gefragt.
device-wants = Das Gerät darf:
device-warning = Fahren Sie nur fort, wenn Sie selbst damit begonnen haben. Hat Ihnen jemand diesen Code geschickt, brechen Sie ab.
device-button = Verbinden

## Was erledigt ist
message-look-in-spam = Nach einigen Minuten noch nichts da? Sehen Sie im Spam-Ordner nach.
message-reset-sent-title = Sehen Sie in Ihr Postfach
message-reset-sent-text = Wenn es zu Ihrer Eingabe ein Konto gibt, ist ein Link für ein neues Passwort unterwegs.
message-password-changed-title = Passwort geändert
message-password-changed-text = Verwenden Sie ab jetzt Ihr neues Passwort.
message-verification-sent-title = E-Mail-Adresse bestätigen
message-verification-sent-text = Wir haben einen Link an { $email } gesendet. Öffnen Sie ihn, um zu bestätigen, dass die Adresse Ihnen gehört.
message-email-verified-title = E-Mail-Adresse bestätigt
message-email-verified-text = Danke. Es kann weitergehen.
message-email-change-sent-title = Neue Adresse bestätigen
message-email-change-sent-text = Wir haben einen Link an { $email } gesendet. Ihre Adresse wird geändert, sobald Sie ihn öffnen.
message-email-changed-title = E-Mail-Adresse geändert
message-email-changed-text = Wir schreiben ab jetzt an Ihre neue Adresse.
message-device-allowed-title = Gerät verbunden
message-device-allowed-text = Sie können zu Ihrem Gerät zurückkehren und diese Seite schließen.
message-device-denied-title = Gerät nicht verbunden
message-device-denied-text = Es wurde nichts freigegeben. Sie können diese Seite schließen.

## Abmelden
logout-title = Abmelden
logout-heading = Möchten Sie sich abmelden?
logout-asked-by = { $client } bittet Sie, sich abzumelden
logout-stay = Angemeldet bleiben
logout-button = Abmelden
logged-out-title = Sie sind abgemeldet
logged-out-text = Sie wurden von { $tenant } abgemeldet. Schließen Sie an einem gemeinsam genutzten Computer auch den Browser.
back-to-client = Zurück zu { $client }
logout-frame = Eine App wird abgemeldet

## Auf dem Rückweg
form-post-title = Einen Moment
form-post-text = Sie werden zurückgeleitet. Wenn nichts geschieht, drücken Sie die Schaltfläche.
form-post-client = Sie werden zu { $client } zurückgeleitet. Wenn nichts geschieht, drücken Sie die Schaltfläche.

## Fehler
error-what-to-do = Was Sie tun können
error-start = Neu beginnen
error-code = Fehlercode
error-request = Anfrage
error-detail = Für Entwickler
error-unknown-client-title = Wir kennen diese App nicht
error-unknown-client-text = Die App, die Sie hierher geleitet hat, ist bei uns nicht registriert.
error-unknown-client-advice = Gehen Sie zur App zurück und versuchen Sie es noch einmal. Bleibt der Fehler, wenden Sie sich an den Betreiber der App.
error-bad-redirect-title = Diese App kann nicht sicher geöffnet werden
error-bad-redirect-text = Die App will Sie an eine Adresse leiten, die nicht für sie registriert ist. Deshalb haben wir hier angehalten.
error-bad-redirect-advice = Geben Sie jetzt nirgends Ihr Passwort ein. Wenden Sie sich mit den Angaben unten an den Betreiber der App.
error-bad-request-title = Die App hat einen Fehler gemacht
error-bad-request-text = Wir konnten nicht verstehen, was die App von uns wollte.
error-bad-request-advice = Gehen Sie zur App zurück und versuchen Sie es noch einmal. Bleibt der Fehler, wenden Sie sich mit den Angaben unten an den Betreiber der App.
error-expired-title = Diese Anmeldung ist abgelaufen
error-expired-text = Sie hat zu lange gedauert oder wurde in einem anderen Tab abgeschlossen.
error-expired-advice = Gehen Sie zur App zurück und melden Sie sich erneut an.
error-link-expired-title = Dieser Link gilt nicht mehr
error-link-expired-text = Die Links aus unseren E-Mails gelten einmal und nur für kurze Zeit.
error-link-expired-advice = Fordern Sie einen neuen Link an und öffnen Sie die neueste E-Mail.
error-cookies-missing-title = Wir konnten dieses Formular nicht prüfen
error-cookies-missing-text = Ihr Browser hat das dazugehörige Cookie nicht mitgesendet.
error-cookies-missing-advice = Erlauben Sie Cookies für diese Website, schließen Sie andere Tabs davon und beginnen Sie neu.
error-not-found-title = Seite nicht gefunden
error-not-found-text = Unter dieser Adresse gibt es nichts.
error-not-found-advice = Prüfen Sie die Adresse oder gehen Sie zur App zurück, von der Sie kommen.
error-too-many-requests-title = Zu viele Versuche
error-too-many-requests-text = Um Konten zu schützen, bremsen wir nach vielen Versuchen.
error-too-many-requests-advice = Warten Sie { $minutes ->
    [one] eine Minute
   *[other] { $minutes } Minuten
  } und versuchen Sie es dann noch einmal.
error-unavailable-title = Etwas ist schiefgegangen
error-unavailable-text = Es liegt an uns, nicht an Ihnen, und es wurde nichts verändert.
error-unavailable-advice = Versuchen Sie es in einigen Minuten noch einmal. Bleibt der Fehler, schreiben Sie uns mit den Angaben unten.

## Konto
account-title = Ihr Konto
account-waiting = Wartet auf Ihre Antwort
account-waiting-text = Apps fragen, ob sie Sie anmelden dürfen. Stimmen Sie nur zu, wenn Sie das eben selbst begonnen haben und dort dieselbe Nachricht steht.
account-waiting-message = Nachricht: { $message }
account-waiting-since = Gefragt am { $time }
account-profile = Profil
account-name = Name
account-username = Benutzername
account-email = E-Mail
account-verified = Bestätigt
account-unverified = Nicht bestätigt
account-email-change = E-Mail ändern
account-password-change = Passwort ändern
account-password-since = Geändert am { $time }
account-sessions = Wo Sie angemeldet sind
account-sessions-text = Beenden Sie Sitzungen, die Sie nicht kennen, und ändern Sie dann Ihr Passwort.
account-unknown-device = Unbekanntes Gerät
account-this-session = Dieses Gerät
account-last-used = Zuletzt benutzt am { $time }
account-signed-in = Angemeldet am { $time }
account-end-session = Abmelden
account-end-others = Überall sonst abmelden
account-applications = Apps mit Zugriff
account-no-applications = Keine App hat Zugriff auf Ihr Konto.
account-allowed = Erlaubt am { $time }
account-revoke = Zugriff entziehen
account-data = Ihre Daten
account-data-text = Alles, was hier über Sie gespeichert ist, als JSON-Datei.
account-export = Daten herunterladen
confirm-email-text = Ist { $email } Ihre Adresse? Dann bestätigen Sie sie mit der Schaltfläche.
email-change-title = E-Mail-Adresse ändern
email-change-text = Ihre Adresse ist { $email }. Sie wird geändert, sobald Sie den Link öffnen, den wir an die neue senden.
email-change-first = Wir senden einen Link an die Adresse, um sicher zu sein, dass sie Ihnen gehört.
new-email = Neue E-Mail-Adresse
email-change-button = Link senden

## E-Mails
mail-link-life = Der Link gilt einmal und { $minutes ->
    [one] eine Minute
   *[other] { $minutes } Minuten
  } lang.
mail-link-plain = Oder kopieren Sie diese Adresse in Ihren Browser:
mail-not-you = Wenn Sie das nicht angefordert haben, ignorieren Sie diese E-Mail.
mail-fact-device = Gerät
mail-fact-place = Ort
mail-fact-time = Zeit
mail-fact-new-email = Neue Adresse
mail-verification-subject = Bestätigen Sie Ihre E-Mail-Adresse für { $tenant }
mail-verification-text = Bitte bestätigen Sie, dass diese Adresse Ihnen gehört. So erreicht { $tenant } Sie, und Sie kommen immer wieder in Ihr Konto.
mail-verification-button = Adresse bestätigen
mail-reset-subject = Neues Passwort für { $tenant } wählen
mail-reset-text = Jemand, hoffentlich Sie, hat für { $account } bei { $tenant } ein neues Passwort angefordert.
mail-reset-button = Neues Passwort wählen
mail-reset-not-you = Wenn Sie es nicht waren, ignorieren Sie diese E-Mail: Ihr Passwort bleibt, wie es ist.
mail-email-changed-subject = Ihre E-Mail-Adresse bei { $tenant } wurde geändert
mail-email-changed-text = Die E-Mail-Adresse des Kontos { $account } bei { $tenant } wurde geändert. Wir schreiben Ihnen an die alte Adresse, um sicher zu sein, dass Sie es waren.
mail-email-changed-not-you = Wenn Sie es nicht waren, wenden Sie sich sofort an den Support.
mail-sign-in-subject = Neue Anmeldung bei { $tenant }
mail-sign-in-text = Jemand hat sich bei { $tenant } als { $account } angemeldet, von einem Ort aus, an dem dieses Konto in letzter Zeit nicht benutzt wurde.
mail-sign-in-button = Sitzungen ansehen
mail-sign-in-not-you = Wenn Sie es waren, müssen Sie nichts tun. Wenn nicht, ändern Sie sofort Ihr Passwort.
mail-request-subject = Eine App wartet auf Ihre Antwort bei { $tenant }
mail-request-text = Eine App fragt, ob sie sich bei { $tenant } als { $account } anmelden darf. In Ihrem Konto können Sie antworten.
mail-request-button = Antworten
mail-request-not-you = Wenn Sie das nicht selbst begonnen haben, lehnen Sie es dort ab oder tun Sie nichts: Es endet von selbst.
mail-fact-app = App
mail-fact-message = Nachricht
