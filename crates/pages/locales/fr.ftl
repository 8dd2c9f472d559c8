# Français

## Partout
error-prefix = Erreur :
footer-label = Mentions légales et aide
terms = Conditions d’utilisation
privacy = Confidentialité
support = Aide
next = Suivant
go-on = Continuer
cancel = Annuler
save = Enregistrer
allow = Autoriser
deny = Refuser
identifier = E-mail ou nom d’utilisateur
password = Mot de passe
continue-to = Continuer vers { $client }
signed-in-as = Vous êtes connecté en tant que { $account }
other-account = Utiliser un autre compte

## Connexion
login-title = Se connecter
login-button = Se connecter
login-again = Se reconnecter
not-you = Ce n’est pas vous ?
stay-signed-in = Rester connecté
forgot-link = Mot de passe oublié ?
choose-title = Choisissez un compte
choose-signed-out = Déconnecté
notice-session-expired = Vous avez été déconnecté après une période d’inactivité. Veuillez vous reconnecter.
notice-confirm = Veuillez confirmer qu’il s’agit bien de vous.
notice-password-changed = Votre mot de passe a été modifié. Connectez-vous avec le nouveau.

## Ce qui n’a pas marché dans un formulaire
trouble-credentials = La connexion a échoué. Vérifiez votre e-mail ou nom d’utilisateur et votre mot de passe.
trouble-try-again = Il y a eu trop de tentatives. Réessayez dans { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
  }.
trouble-form-expired = Ce formulaire est resté ouvert trop longtemps. Veuillez réessayer.
trouble-empty = Veuillez saisir votre e-mail ou votre nom d’utilisateur.
trouble-unavailable = La connexion est impossible pour le moment. Veuillez réessayer dans un instant.
trouble-wrong-current = Ce n’est pas votre mot de passe actuel.
trouble-not-the-same = Les deux mots de passe ne sont pas identiques.
trouble-too-short = Ce mot de passe est trop court. Utilisez au moins { $count ->
    [one] { $count } caractère
   *[other] { $count } caractères
  }.
trouble-too-long = Ce mot de passe est trop long.
trouble-too-common = Ce mot de passe est facile à deviner. Choisissez-en un que d’autres n’utilisent pas.
trouble-too-similar = Ce mot de passe ressemble trop à votre nom, à votre adresse ou à votre dernier mot de passe.
trouble-unknown-code = Ce code n’est pas valide ou a expiré. Vérifiez le code sur votre appareil.
trouble-bad-address = Saisissez une autre adresse, par exemple nom@example.com.
trouble-name = Saisissez un nom de 1 à 100 caractères.

## Consentement
consent-title = Autoriser l’accès
consent-heading = { $client } souhaite accéder à votre compte
consent-wants = Si vous acceptez, l’application pourra :
consent-details = Et vous approuvez précisément ceci :
consent-remember = Ne plus me demander pour cette application
client-home = À propos de l’application
client-terms = Conditions de l’application
client-privacy = Confidentialité de l’application
scope-openid = Savoir qui vous êtes
scope-profile = Voir votre nom et votre profil
scope-email = Voir votre adresse e-mail
scope-phone = Voir votre numéro de téléphone
scope-address = Voir votre adresse postale
scope-offline-access = Garder son accès quand vous ne l’utilisez pas
scope-account = Gérer votre compte et vos sessions
scope-admin = Administrer cette organisation en votre nom

## Mots de passe
forgot-title = Mot de passe oublié ?
forgot-text = Dites-nous qui vous êtes : nous vous enverrons par e-mail un lien pour choisir un nouveau mot de passe.
forgot-button = Envoyer le lien
back-to-login = Retour à la connexion
new-password-title = Choisissez un nouveau mot de passe
new-password-required = Votre organisation vous demande de choisir un nouveau mot de passe avant de continuer.
new-password-account = Pour le compte { $account }
new-password-reset = Vous l’utiliserez désormais pour vous connecter.
new-password-change = Vos autres sessions seront déconnectées.
new-password-hint = Au moins { $count ->
    [one] { $count } caractère
   *[other] { $count } caractères
  }. Quelques mots sans rapport entre eux conviennent bien.
current-password = Mot de passe actuel
new-password = Nouveau mot de passe
repeat-password = Nouveau mot de passe, encore une fois
new-password-button = Enregistrer le mot de passe

## Appareils
device-title = Connecter un appareil
device-text = Saisissez le code affiché par votre appareil.
device-code = Code
device-heading = Se connecter à { $client } sur votre appareil ?
device-compare = Vérifiez que votre appareil affiche exactement ce code :
device-source = L’appareil a fait sa demande depuis l’adresse { $address }.
device-wants = L’appareil pourra :
device-warning = Ne continuez que si vous avez vous-même commencé. Si quelqu’un vous a envoyé ce code, arrêtez-vous.
device-button = Connecter

## Ce qui est fait
message-look-in-spam = Toujours rien après quelques minutes ? Regardez dans vos courriers indésirables.
message-reset-sent-title = Consultez vos e-mails
message-reset-sent-text = S’il existe un compte pour ce que vous avez saisi, un lien pour choisir un nouveau mot de passe est en route.
message-password-changed-title = Mot de passe modifié
message-password-changed-text = Utilisez désormais votre nouveau mot de passe.
message-verification-sent-title = Confirmez votre adresse e-mail
message-verification-sent-text = Nous avons envoyé un lien à { $email }. Ouvrez-le pour confirmer que l’adresse est la vôtre.
message-email-verified-title = Adresse e-mail confirmée
message-email-verified-text = Merci. Vous pouvez continuer.
message-email-change-sent-title = Confirmez votre nouvelle adresse
message-email-change-sent-text = Nous avons envoyé un lien à { $email }. Votre adresse changera quand vous l’ouvrirez.
message-email-changed-title = Adresse e-mail modifiée
message-email-changed-text = Nous vous écrirons désormais à votre nouvelle adresse.
message-device-allowed-title = Appareil connecté
message-device-allowed-text = Vous pouvez revenir à votre appareil et fermer cette page.
message-device-denied-title = Appareil non connecté
message-device-denied-text = Rien n’a été partagé. Vous pouvez fermer cette page.

## Déconnexion
logout-title = Se déconnecter
logout-heading = Voulez-vous vous déconnecter ?
logout-asked-by = { $client } vous demande de vous déconnecter
logout-stay = Rester connecté
logout-button = Se déconnecter
logged-out-title = Vous êtes déconnecté
logged-out-text = Vous avez été déconnecté de { $tenant }. Sur un ordinateur partagé, fermez aussi le navigateur.
back-to-client = Retour à { $client }
logout-frame = Déconnexion d’une application

## Sur le chemin du retour
form-post-title = Un instant
form-post-text = Vous allez être redirigé. S’il ne se passe rien, appuyez sur le bouton.
form-post-client = Vous allez être redirigé vers { $client }. S’il ne se passe rien, appuyez sur le bouton.

## Erreurs
error-what-to-do = Ce que vous pouvez faire
error-start = Recommencer
error-code = Code d’erreur
error-request = Requête
error-detail = Pour les développeurs
error-unknown-client-title = Nous ne connaissons pas cette application
error-unknown-client-text = L’application qui vous a envoyé ici n’est pas enregistrée chez nous.
error-unknown-client-advice = Retournez dans l’application et réessayez. Si l’erreur persiste, prévenez ceux qui la gèrent.
error-bad-redirect-title = Cette application ne peut pas être ouverte en toute sécurité
error-bad-redirect-text = L’application nous demande de vous envoyer à une adresse qui n’est pas enregistrée pour elle. Nous nous sommes donc arrêtés ici.
error-bad-redirect-advice = Ne saisissez votre mot de passe nulle part pour le moment. Prévenez ceux qui gèrent l’application en donnant les détails ci-dessous.
error-bad-request-title = L’application a commis une erreur
error-bad-request-text = Nous n’avons pas compris ce que l’application demandait.
error-bad-request-advice = Retournez dans l’application et réessayez. Si l’erreur persiste, prévenez ceux qui la gèrent en donnant les détails ci-dessous.
error-expired-title = Cette connexion a expiré
error-expired-text = Elle a pris trop de temps ou a été terminée dans un autre onglet.
error-expired-advice = Retournez dans l’application et reconnectez-vous.
error-link-expired-title = Ce lien ne fonctionne plus
error-link-expired-text = Les liens de nos e-mails ne servent qu’une fois et peu de temps.
error-link-expired-advice = Demandez un nouveau lien et ouvrez le dernier e-mail reçu.
error-cookies-missing-title = Nous n’avons pas pu vérifier ce formulaire
error-cookies-missing-text = Votre navigateur n’a pas envoyé le cookie qui va avec.
error-cookies-missing-advice = Autorisez les cookies pour ce site, fermez ses autres onglets et recommencez.
error-not-found-title = Page introuvable
error-not-found-text = Il n’y a rien à cette adresse.
error-not-found-advice = Vérifiez l’adresse ou retournez dans l’application d’où vous venez.
error-too-many-requests-title = Trop de tentatives
error-too-many-requests-text = Pour protéger les comptes, nous ralentissons après de nombreuses tentatives.
error-too-many-requests-advice = Attendez { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
  }, puis réessayez.
error-unavailable-title = Un problème est survenu
error-unavailable-text = C’est notre faute, pas la vôtre, et rien n’a été modifié.
error-unavailable-advice = Réessayez dans quelques minutes. Si l’erreur persiste, écrivez-nous en donnant les détails ci-dessous.

## Compte
account-title = Votre compte
account-waiting = En attente de votre réponse
account-waiting-text = Des applications demandent à vous connecter. N’acceptez que ce que vous venez de commencer vous-même, et si le message y est le même.
account-waiting-message = Message : { $message }
account-waiting-since = Demandé le { $time }
account-profile = Profil
account-name = Nom
account-username = Nom d’utilisateur
account-email = E-mail
account-verified = Confirmée
account-unverified = Non confirmée
account-email-change = Modifier l’e-mail
account-password-change = Modifier le mot de passe
account-password-since = Modifié le { $time }
account-sessions = Où vous êtes connecté
account-sessions-text = Mettez fin aux sessions que vous ne reconnaissez pas, puis changez de mot de passe.
account-unknown-device = Appareil inconnu
account-this-session = Cet appareil
account-last-used = Dernière utilisation le { $time }
account-signed-in = Connexion le { $time }
account-end-session = Déconnecter
account-end-others = Déconnecter partout ailleurs
account-applications = Applications autorisées
account-no-applications = Aucune application n’a accès à votre compte.
account-allowed = Autorisée le { $time }
account-revoke = Retirer l’accès
account-data = Vos données
account-data-text = Tout ce qui est enregistré ici à votre sujet, dans un fichier JSON.
account-export = Télécharger vos données
confirm-email-text = { $email } est-elle votre adresse ? Confirmez-la avec le bouton.
email-change-title = Modifier votre adresse e-mail
email-change-text = Votre adresse est { $email }. Elle changera quand vous ouvrirez le lien que nous enverrons à la nouvelle.
email-change-first = Nous enverrons un lien à cette adresse pour vérifier qu’elle est bien la vôtre.
new-email = Nouvelle adresse e-mail
email-change-button = Envoyer le lien

## E-mails
mail-link-life = Le lien fonctionne une seule fois, pendant { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
  }.
mail-link-plain = Ou copiez cette adresse dans votre navigateur :
mail-not-you = Si vous n’avez rien demandé, ignorez cet e-mail.
mail-fact-device = Appareil
mail-fact-place = Lieu
mail-fact-time = Heure
mail-fact-new-email = Nouvelle adresse
mail-verification-subject = Confirmez votre adresse e-mail pour { $tenant }
mail-verification-text = Veuillez confirmer que cette adresse est la vôtre. { $tenant } pourra ainsi vous joindre, et vous pourrez toujours retrouver l’accès à votre compte.
mail-verification-button = Confirmer l’adresse
mail-reset-subject = Choisissez un nouveau mot de passe pour { $tenant }
mail-reset-text = Quelqu’un, vous sans doute, a demandé un nouveau mot de passe pour { $account } chez { $tenant }.
mail-reset-button = Choisir un nouveau mot de passe
mail-reset-not-you = Si ce n’était pas vous, ignorez cet e-mail : votre mot de passe reste inchangé.
mail-email-changed-subject = Votre adresse e-mail chez { $tenant } a été modifiée
mail-email-changed-text = L’adresse e-mail du compte { $account } chez { $tenant } a été modifiée. Nous vous écrivons à l’ancienne adresse pour être sûrs que c’était vous.
mail-email-changed-not-you = Si ce n’était pas vous, contactez l’assistance sans attendre.
mail-sign-in-subject = Nouvelle connexion à { $tenant }
mail-sign-in-text = Quelqu’un s’est connecté à { $account } chez { $tenant } depuis un lieu où ce compte n’a pas été utilisé récemment.
mail-sign-in-button = Voir vos sessions
mail-sign-in-not-you = Si c’était vous, vous n’avez rien à faire. Sinon, changez tout de suite de mot de passe.
mail-request-subject = Une application attend votre réponse chez { $tenant }
mail-request-text = Une application demande à se connecter à { $account } chez { $tenant } pour vous. Répondez dans votre compte.
mail-request-button = Répondre
mail-request-not-you = Si vous n’avez pas commencé cela vous-même, refusez, ou ne faites rien : la demande prend fin d’elle-même.
mail-fact-app = Application
mail-fact-message = Message
