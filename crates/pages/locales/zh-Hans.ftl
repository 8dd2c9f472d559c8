# 简体中文

## 通用
error-prefix = 错误：
footer-label = 法律信息与帮助
terms = 服务条款
privacy = 隐私政策
support = 帮助
next = 下一步
go-on = 继续
cancel = 取消
save = 保存
allow = 允许
deny = 不允许
identifier = 电子邮箱或用户名
password = 密码
continue-to = 继续前往 { $client }
signed-in-as = 您已登录为 { $account }
other-account = 使用其他账号

## 登录
login-title = 登录
login-button = 登录
login-again = 重新登录
not-you = 不是您？
stay-signed-in = 保持登录状态
forgot-link = 忘记密码？
choose-title = 选择账号
choose-signed-out = 已退出登录
notice-session-expired = 由于长时间未操作，您已退出登录。请重新登录。
notice-confirm = 请确认是您本人在操作。
notice-password-changed = 您的密码已更改，请使用新密码登录。

## 表单中的问题
trouble-credentials = 登录失败。请检查电子邮箱或用户名以及密码。
trouble-try-again = 尝试次数过多。请在 { $minutes ->
   *[other] { $minutes } 分钟
  }后重试。
trouble-form-expired = 此表单打开时间过长，请重试。
trouble-empty = 请输入电子邮箱或用户名。
trouble-unavailable = 目前无法登录，请稍后重试。
trouble-wrong-current = 当前密码不正确。
trouble-not-the-same = 两次输入的密码不一致。
trouble-too-short = 密码太短，请至少使用 { $count ->
   *[other] { $count } 个字符
  }。
trouble-too-long = 密码太长。
trouble-too-common = 此密码容易被猜到，请选择别人不会使用的密码。
trouble-too-similar = 此密码与您的姓名、邮箱地址或上一个密码过于相似。
trouble-unknown-code = 代码无效或已过期，请核对设备上显示的代码。
trouble-bad-address = 请输入另一个地址，例如 name@example.com。
trouble-name = 请输入 1 到 100 个字符的姓名。

## 授权
consent-title = 允许访问
consent-heading = { $client } 请求访问您的账号
consent-wants = 如果您同意，该应用将可以：
consent-details = 并请您批准以下具体内容：
consent-remember = 不再就此应用询问我
client-home = 关于该应用
client-terms = 该应用的服务条款
client-privacy = 该应用的隐私政策
scope-openid = 知道您是谁
scope-profile = 查看您的姓名和个人资料
scope-email = 查看您的电子邮箱地址
scope-phone = 查看您的电话号码
scope-address = 查看您的通讯地址
scope-offline-access = 在您不使用它时仍保留访问权限
scope-account = 管理您的账号和会话
scope-admin = 代表您管理此组织

## 密码
forgot-title = 忘记密码？
forgot-text = 请告诉我们您是谁，我们会通过电子邮件向您发送用于设置新密码的链接。
forgot-button = 发送链接
back-to-login = 返回登录
new-password-title = 设置新密码
new-password-required = 您的组织要求您先设置新密码，然后才能继续。
new-password-account = 账号：{ $account }
new-password-reset = 今后您将使用此密码登录。
new-password-change = 您的其他会话将退出登录。
new-password-hint = 至少 { $count ->
   *[other] { $count } 个字符
  }。几个互不相关的词就很好。
current-password = 当前密码
new-password = 新密码
repeat-password = 再次输入新密码
new-password-button = 保存密码

## 设备
device-title = 连接设备
device-text = 请输入设备上显示的代码。
device-code = 代码
device-heading = 要在您的设备上登录 { $client } 吗？
device-compare = 请确认您的设备上显示的正是此代码：
device-source = 该设备是从地址 { $address } 发出请求的。
device-wants = 该设备将可以：
device-warning = 仅当操作由您本人发起时才继续。如果此代码是别人发给您的，请勿继续。
device-button = 连接

## 已完成
message-look-in-spam = 几分钟后仍未收到？请查看垃圾邮件文件夹。
message-reset-sent-title = 请查收电子邮件
message-reset-sent-text = 如果您输入的信息对应某个账号，用于设置新密码的链接已在发送途中。
message-password-changed-title = 密码已更改
message-password-changed-text = 从现在起请使用新密码。
message-verification-sent-title = 确认您的电子邮箱地址
message-verification-sent-text = 我们已向 { $email } 发送了一个链接。请打开它，以确认该地址属于您。
message-email-verified-title = 电子邮箱地址已确认
message-email-verified-text = 谢谢，您现在可以继续。
message-email-change-sent-title = 确认您的新地址
message-email-change-sent-text = 我们已向 { $email } 发送了一个链接。打开它之后，您的地址就会更改。
message-email-changed-title = 电子邮箱地址已更改
message-email-changed-text = 从现在起我们会将邮件发送到您的新地址。
message-device-allowed-title = 设备已连接
message-device-allowed-text = 您可以返回设备并关闭此页面。
message-device-denied-title = 设备未连接
message-device-denied-text = 没有共享任何信息。您可以关闭此页面。

## 退出登录
logout-title = 退出登录
logout-heading = 要退出登录吗？
logout-asked-by = { $client } 请求您退出登录
logout-stay = 保持登录
logout-button = 退出登录
logged-out-title = 您已退出登录
logged-out-text = 您已退出 { $tenant }。如果使用的是公共电脑，请同时关闭浏览器。
back-to-client = 返回 { $client }
logout-frame = 正在退出某个应用

## 返回途中
form-post-title = 请稍候
form-post-text = 正在返回。如果没有反应，请按下按钮。
form-post-client = 正在返回 { $client }。如果没有反应，请按下按钮。

## 错误
error-what-to-do = 您可以这样做
error-start = 重新开始
error-code = 错误代码
error-request = 请求编号
error-detail = 开发者信息
error-unknown-client-title = 我们不认识此应用
error-unknown-client-text = 将您带到这里的应用没有在我们这里注册。
error-unknown-client-advice = 请返回该应用重试。如果仍然失败，请告知该应用的运营者。
error-bad-redirect-title = 无法安全地打开此应用
error-bad-redirect-text = 该应用要求我们将您送往一个未为其注册的地址，因此我们在此停下。
error-bad-redirect-advice = 目前请勿在任何地方输入密码。请将以下信息告知该应用的运营者。
error-bad-request-title = 该应用出错了
error-bad-request-text = 我们无法理解该应用的请求。
error-bad-request-advice = 请返回该应用重试。如果仍然失败，请将以下信息告知该应用的运营者。
error-expired-title = 此次登录已过期
error-expired-text = 用时过长，或已在另一个标签页中完成。
error-expired-advice = 请返回该应用并重新登录。
error-link-expired-title = 此链接已失效
error-link-expired-text = 我们邮件中的链接只能使用一次，且有效时间很短。
error-link-expired-advice = 请重新申请链接，并打开最新的邮件。
error-cookies-missing-title = 我们无法验证此表单
error-cookies-missing-text = 您的浏览器没有发送相应的 Cookie。
error-cookies-missing-advice = 请允许本网站使用 Cookie，关闭本网站的其他标签页，然后重新开始。
error-not-found-title = 找不到页面
error-not-found-text = 此地址没有任何内容。
error-not-found-advice = 请检查地址，或返回您来自的应用。
error-too-many-requests-title = 尝试次数过多
error-too-many-requests-text = 为了保护账号，我们会在多次尝试之后放慢速度。
error-too-many-requests-advice = 请等待 { $minutes ->
   *[other] { $minutes } 分钟
  }，然后重试。
error-unavailable-title = 出了点问题
error-unavailable-text = 这是我们的问题，与您无关，也没有任何内容被更改。
error-unavailable-advice = 请几分钟后重试。如果仍然失败，请将以下信息发送给我们。

## 账号
account-title = 您的账号
account-waiting = 等待您的答复
account-waiting-text = 有应用请求为您登录。请仅在您刚刚亲自发起操作、且对方显示的消息相同时才同意。
account-waiting-message = 消息：{ $message }
account-waiting-since = 请求时间：{ $time }
account-profile = 个人资料
account-name = 姓名
account-username = 用户名
account-email = 电子邮箱
account-verified = 已确认
account-unverified = 未确认
account-email-change = 更改邮箱
account-password-change = 更改密码
account-password-since = 更改于 { $time }
account-sessions = 您的登录位置
account-sessions-text = 请结束您不认识的会话，并更改密码。
account-unknown-device = 未知设备
account-this-session = 当前设备
account-last-used = 最近使用于 { $time }
account-signed-in = 登录于 { $time }
account-end-session = 退出登录
account-end-others = 退出其他所有设备
account-applications = 有访问权限的应用
account-no-applications = 没有应用可以访问您的账号。
account-allowed = 允许于 { $time }
account-revoke = 撤销访问权限
account-data = 您的数据
account-data-text = 这里保存的有关您的所有信息，以 JSON 文件提供。
account-export = 下载您的数据
confirm-email-text = { $email } 是您的地址吗？请点击按钮确认。
email-change-title = 更改电子邮箱地址
email-change-text = 您的地址是 { $email }。打开我们发送到新地址的链接之后，地址就会更改。
email-change-first = 我们会向该地址发送一个链接，以确认它属于您。
new-email = 新电子邮箱地址
email-change-button = 发送链接

## 邮件
mail-link-life = 此链接只能使用一次，有效期为 { $minutes ->
   *[other] { $minutes } 分钟
  }。
mail-link-plain = 或将此地址复制到浏览器中：
mail-not-you = 如果不是您申请的，请忽略此邮件。
mail-fact-device = 设备
mail-fact-place = 地点
mail-fact-time = 时间
mail-fact-new-email = 新地址
mail-verification-subject = 确认您在 { $tenant } 的电子邮箱地址
mail-verification-text = 请确认此地址属于您，以便 { $tenant } 能够联系您，并且您始终能够找回自己的账号。
mail-verification-button = 确认地址
mail-reset-subject = 为 { $tenant } 设置新密码
mail-reset-text = 有人（希望是您本人）为 { $tenant } 的账号 { $account } 申请了新密码。
mail-reset-button = 设置新密码
mail-reset-not-you = 如果不是您本人，请忽略此邮件：您的密码保持不变。
mail-email-changed-subject = 您在 { $tenant } 的电子邮箱地址已更改
mail-email-changed-text = { $tenant } 的账号 { $account } 的电子邮箱地址已更改。我们发送此邮件到旧地址，以确认是您本人操作。
mail-email-changed-not-you = 如果不是您本人，请立即联系支持人员。
mail-sign-in-subject = { $tenant } 有新的登录
mail-sign-in-text = 有人从近期未使用过该账号的地点登录了 { $tenant } 的账号 { $account }。
mail-sign-in-button = 查看您的会话
mail-sign-in-not-you = 如果是您本人，则无需任何操作。如果不是，请立即更改密码。
mail-request-subject = 有应用在 { $tenant } 等待您的答复
mail-request-text = 有应用请求以 { $account } 的身份登录 { $tenant }。请在您的账号页面答复。
mail-request-button = 前往答复
mail-request-not-you = 如果不是您本人发起的，请在那里拒绝，或不做任何操作：请求会自行失效。
mail-fact-app = 应用
mail-fact-message = 消息
