# Español

## En todas partes
error-prefix = Error:
footer-label = Información legal y ayuda
terms = Condiciones de uso
privacy = Privacidad
support = Ayuda
next = Siguiente
go-on = Continuar
cancel = Cancelar
save = Guardar
allow = Permitir
deny = No permitir
identifier = Correo electrónico o usuario
password = Contraseña
continue-to = Continuar a { $client }
signed-in-as = Has iniciado sesión como { $account }
other-account = Usar otra cuenta

## Iniciar sesión
login-title = Iniciar sesión
login-button = Iniciar sesión
login-again = Volver a iniciar sesión
not-you = ¿No eres tú?
stay-signed-in = Mantener la sesión iniciada
forgot-link = ¿Has olvidado la contraseña?
choose-title = Elige una cuenta
choose-signed-out = Sesión cerrada
notice-session-expired = Se ha cerrado tu sesión por inactividad. Vuelve a iniciar sesión.
notice-confirm = Confirma que eres tú.
notice-password-changed = Tu contraseña ha cambiado. Inicia sesión con la nueva.

## Lo que falló en un formulario
trouble-credentials = No ha funcionado. Comprueba tu correo o usuario y tu contraseña.
trouble-try-again = Ha habido demasiados intentos. Vuelve a intentarlo dentro de { $minutes ->
    [one] un minuto
   *[other] { $minutes } minutos
  }.
trouble-form-expired = Este formulario ha estado abierto demasiado tiempo. Vuelve a intentarlo.
trouble-empty = Escribe tu correo electrónico o tu usuario.
trouble-unavailable = Ahora mismo no es posible iniciar sesión. Vuelve a intentarlo en un momento.
trouble-wrong-current = Esa no es tu contraseña actual.
trouble-not-the-same = Las dos contraseñas no coinciden.
trouble-too-short = La contraseña es demasiado corta. Usa al menos { $count ->
    [one] un carácter
   *[other] { $count } caracteres
  }.
trouble-too-long = La contraseña es demasiado larga.
trouble-too-common = La contraseña es fácil de adivinar. Elige una que otras personas no usen.
trouble-too-similar = La contraseña se parece demasiado a tu nombre, a tu dirección o a tu última contraseña.
trouble-unknown-code = El código no es válido o ha caducado. Comprueba el código en tu dispositivo.
trouble-bad-address = Escribe otra dirección, por ejemplo nombre@example.com.
trouble-name = Escribe un nombre de 1 a 100 caracteres.

## Consentimiento
consent-title = Permitir el acceso
consent-heading = { $client } quiere acceder a tu cuenta
consent-wants = Si aceptas, la aplicación podrá:
consent-details = Y apruebas exactamente esto:
consent-remember = No volver a preguntar para esta aplicación
client-home = Acerca de la aplicación
client-terms = Condiciones de la aplicación
client-privacy = Privacidad de la aplicación
scope-openid = Saber quién eres
scope-profile = Ver tu nombre y tu perfil
scope-email = Ver tu correo electrónico
scope-phone = Ver tu número de teléfono
scope-address = Ver tu dirección postal
scope-offline-access = Conservar el acceso cuando no la estés usando
scope-account = Gestionar tu cuenta y tus sesiones
scope-admin = Administrar esta organización en tu nombre

## Contraseñas
forgot-title = ¿Has olvidado la contraseña?
forgot-text = Dinos quién eres y te enviaremos por correo un enlace para elegir una nueva.
forgot-button = Enviar el enlace
back-to-login = Volver al inicio de sesión
new-password-title = Elige una contraseña nueva
new-password-required = Tu organización te pide que elijas una contraseña nueva antes de continuar.
new-password-account = Para la cuenta { $account }
new-password-reset = A partir de ahora iniciarás sesión con ella.
new-password-change = Se cerrarán tus demás sesiones.
new-password-hint = Al menos { $count ->
    [one] un carácter
   *[other] { $count } caracteres
  }. Unas cuantas palabras sin relación entre sí funcionan bien.
current-password = Contraseña actual
new-password = Contraseña nueva
repeat-password = Repite la contraseña nueva
new-password-button = Guardar la contraseña

## Dispositivos
device-title = Conectar un dispositivo
device-text = Escribe el código que muestra tu dispositivo.
device-code = Código
device-heading = ¿Iniciar sesión en { $client } en tu dispositivo?
device-compare = Asegúrate de que tu dispositivo muestra exactamente este código:
device-source = El dispositivo lo solicitó desde la dirección { $address }.
device-wants = El dispositivo podrá:
device-warning = Continúa solo si lo has iniciado tú. Si alguien te ha enviado este código, no sigas.
device-button = Conectar

## Lo que está hecho
message-look-in-spam = ¿No ha llegado nada tras unos minutos? Mira en la carpeta de correo no deseado.
message-reset-sent-title = Revisa tu correo
message-reset-sent-text = Si existe una cuenta con esos datos, un enlace para elegir una contraseña nueva está en camino.
message-password-changed-title = Contraseña cambiada
message-password-changed-text = A partir de ahora usa tu contraseña nueva.
message-verification-sent-title = Confirma tu correo electrónico
message-verification-sent-text = Hemos enviado un enlace a { $email }. Ábrelo para confirmar que la dirección es tuya.
message-email-verified-title = Correo electrónico confirmado
message-email-verified-text = Gracias. Ya puedes continuar.
message-email-change-sent-title = Confirma tu dirección nueva
message-email-change-sent-text = Hemos enviado un enlace a { $email }. Tu dirección cambiará cuando lo abras.
message-email-changed-title = Correo electrónico cambiado
message-email-changed-text = A partir de ahora te escribiremos a la dirección nueva.
message-device-allowed-title = Dispositivo conectado
message-device-allowed-text = Puedes volver a tu dispositivo y cerrar esta página.
message-device-denied-title = Dispositivo no conectado
message-device-denied-text = No se ha compartido nada. Puedes cerrar esta página.

## Cerrar sesión
logout-title = Cerrar sesión
logout-heading = ¿Quieres cerrar la sesión?
logout-asked-by = { $client } te pide que cierres la sesión
logout-stay = Mantener la sesión
logout-button = Cerrar sesión
logged-out-title = Has cerrado la sesión
logged-out-text = Has salido de { $tenant }. En un ordenador compartido, cierra también el navegador.
back-to-client = Volver a { $client }
logout-frame = Cerrando la sesión de una aplicación

## En el camino de vuelta
form-post-title = Un momento
form-post-text = Te llevamos de vuelta. Si no ocurre nada, pulsa el botón.
form-post-client = Te llevamos de vuelta a { $client }. Si no ocurre nada, pulsa el botón.

## Errores
error-what-to-do = Qué puedes hacer
error-start = Empezar de nuevo
error-code = Código de error
error-request = Solicitud
error-detail = Para desarrolladores
error-unknown-client-title = No conocemos esta aplicación
error-unknown-client-text = La aplicación que te ha traído aquí no está registrada con nosotros.
error-unknown-client-advice = Vuelve a la aplicación e inténtalo otra vez. Si sigue fallando, avisa a quienes la gestionan.
error-bad-redirect-title = Esta aplicación no se puede abrir de forma segura
error-bad-redirect-text = La aplicación nos pide que te enviemos a una dirección que no tiene registrada, así que nos hemos detenido aquí.
error-bad-redirect-advice = No escribas tu contraseña en ningún sitio por ahora. Avisa a quienes gestionan la aplicación con los datos de abajo.
error-bad-request-title = La aplicación ha cometido un error
error-bad-request-text = No hemos entendido lo que pedía la aplicación.
error-bad-request-advice = Vuelve a la aplicación e inténtalo otra vez. Si sigue fallando, avisa a quienes la gestionan con los datos de abajo.
error-expired-title = Este inicio de sesión ha caducado
error-expired-text = Ha tardado demasiado o se ha completado en otra pestaña.
error-expired-advice = Vuelve a la aplicación e inicia sesión otra vez.
error-link-expired-title = Este enlace ya no funciona
error-link-expired-text = Los enlaces de nuestros correos sirven una sola vez y durante poco tiempo.
error-link-expired-advice = Pide un enlace nuevo y abre el correo más reciente.
error-cookies-missing-title = No hemos podido comprobar este formulario
error-cookies-missing-text = Tu navegador no ha enviado la cookie correspondiente.
error-cookies-missing-advice = Permite las cookies de este sitio, cierra sus otras pestañas y empieza de nuevo.
error-not-found-title = Página no encontrada
error-not-found-text = No hay nada en esta dirección.
error-not-found-advice = Comprueba la dirección o vuelve a la aplicación de la que vienes.
error-too-many-requests-title = Demasiados intentos
error-too-many-requests-text = Para proteger las cuentas, vamos más despacio después de muchos intentos.
error-too-many-requests-advice = Espera { $minutes ->
    [one] un minuto
   *[other] { $minutes } minutos
  } y vuelve a intentarlo.
error-unavailable-title = Algo ha ido mal
error-unavailable-text = Es culpa nuestra, no tuya, y no se ha cambiado nada.
error-unavailable-advice = Vuelve a intentarlo en unos minutos. Si sigue fallando, escríbenos con los datos de abajo.

## Cuenta
account-title = Tu cuenta
account-waiting = Esperan tu respuesta
account-waiting-text = Hay aplicaciones que piden iniciar tu sesión. Acepta solo lo que acabas de empezar tú y si el mensaje es el mismo allí.
account-waiting-message = Mensaje: { $message }
account-waiting-since = Solicitado el { $time }
account-profile = Perfil
account-name = Nombre
account-username = Usuario
account-email = Correo electrónico
account-verified = Confirmado
account-unverified = Sin confirmar
account-email-change = Cambiar el correo
account-password-change = Cambiar la contraseña
account-password-since = Cambiada el { $time }
account-sessions = Dónde has iniciado sesión
account-sessions-text = Cierra las sesiones que no reconozcas y cambia la contraseña.
account-unknown-device = Dispositivo desconocido
account-this-session = Este dispositivo
account-last-used = Último uso el { $time }
account-signed-in = Sesión iniciada el { $time }
account-end-session = Cerrar sesión
account-end-others = Cerrar todas las demás sesiones
account-applications = Aplicaciones con acceso
account-no-applications = Ninguna aplicación tiene acceso a tu cuenta.
account-allowed = Permitida el { $time }
account-revoke = Retirar el acceso
account-data = Tus datos
account-data-text = Todo lo que se guarda aquí sobre ti, en un archivo JSON.
account-export = Descargar tus datos
confirm-email-text = ¿Es { $email } tu dirección? Confírmala con el botón.
email-change-title = Cambiar tu correo electrónico
email-change-text = Tu dirección es { $email }. Cambiará cuando abras el enlace que enviaremos a la nueva.
email-change-first = Enviaremos un enlace a la dirección para asegurarnos de que es tuya.
new-email = Correo electrónico nuevo
email-change-button = Enviar el enlace

## Correos
mail-link-life = El enlace funciona una sola vez, durante { $minutes ->
    [one] un minuto
   *[other] { $minutes } minutos
  }.
mail-link-plain = O copia esta dirección en tu navegador:
mail-not-you = Si no lo has pedido tú, no hagas caso de este correo.
mail-fact-device = Dispositivo
mail-fact-place = Lugar
mail-fact-time = Hora
mail-fact-new-email = Dirección nueva
mail-verification-subject = Confirma tu correo electrónico para { $tenant }
mail-verification-text = Confirma que esta dirección es tuya, para que { $tenant } pueda contactarte y siempre puedas recuperar tu cuenta.
mail-verification-button = Confirmar la dirección
mail-reset-subject = Elige una contraseña nueva para { $tenant }
mail-reset-text = Alguien, esperamos que tú, ha pedido una contraseña nueva para { $account } en { $tenant }.
mail-reset-button = Elegir una contraseña nueva
mail-reset-not-you = Si no has sido tú, no hagas caso de este correo: tu contraseña sigue igual.
mail-email-changed-subject = Tu correo electrónico en { $tenant } ha cambiado
mail-email-changed-text = El correo electrónico de la cuenta { $account } en { $tenant } ha cambiado. Te avisamos en la dirección antigua para asegurarnos de que has sido tú.
mail-email-changed-not-you = Si no has sido tú, escribe al servicio de asistencia de inmediato.
mail-sign-in-subject = Nuevo inicio de sesión en { $tenant }
mail-sign-in-text = Alguien ha iniciado sesión en { $account } de { $tenant } desde un lugar en el que esta cuenta no se ha usado últimamente.
mail-sign-in-button = Ver tus sesiones
mail-sign-in-not-you = Si has sido tú, no tienes que hacer nada. Si no, cambia la contraseña de inmediato.
mail-request-subject = Una aplicación espera tu respuesta en { $tenant }
mail-request-text = Una aplicación pide iniciar sesión en { $account } de { $tenant } por ti. Responde en tu cuenta.
mail-request-button = Responder
mail-request-not-you = Si no lo has empezado tú, recházalo allí o no hagas nada: termina por sí solo.
mail-fact-app = Aplicación
mail-fact-message = Mensaje
