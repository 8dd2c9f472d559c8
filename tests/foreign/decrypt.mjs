// Reads tokens that are encrypted to a client, with jose, as that would: decrypt.mjs JWKS_URL ISSUER AUDIENCE KEYS TOKENS. KEYS are private
// JWKs and TOKENS are tokens, as JSON arrays. Prints of each the header of the JWE, that of the JWS inside, and the claims.
// It is copied beside its node_modules before it runs, because imports are resolved from where the file lies.
import { compactDecrypt, createRemoteJWKSet, decodeProtectedHeader, importJWK, jwtVerify } from "jose";

const [jwksUrl, issuer, audience, keys, tokens] = process.argv.slice(2);
const own = JSON.parse(keys);
const published = createRemoteJWKSet(new URL(jwksUrl));
const read = async (token) => {
  const outer = decodeProtectedHeader(token);
  const jwk = own.find((key) => key.kid === outer.kid);
  const { plaintext } = await compactDecrypt(token, await importJWK(jwk, outer.alg));
  const { protectedHeader, payload } = await jwtVerify(new TextDecoder().decode(plaintext), published, { issuer, audience });
  return { outer, inner: protectedHeader, claims: payload };
};
console.log(JSON.stringify(await Promise.all(JSON.parse(tokens).map(read))));
