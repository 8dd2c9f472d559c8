// Verifies one access token with jose, as a resource server would: verify.mjs JWKS_URL ISSUER TOKEN. Prints the subject.
// It is copied beside its node_modules before it runs, because imports are resolved from where the file lies.
import { createRemoteJWKSet, jwtVerify } from "jose";

const [jwksUrl, issuer, token] = process.argv.slice(2);
const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(jwksUrl)), {
  issuer,
  audience: issuer,
  typ: "at+jwt",
  algorithms: ["ES256", "RS256"],
  requiredClaims: ["exp", "iat", "sub", "jti", "client_id"],
});
console.log(payload.sub);
