#!/bin/sh
# Verifies a Standard Webhooks signature by openssl alone: verify.sh SECRET ID TIMESTAMP BODY_FILE SIGNATURES
# Exits 0 when one of the signatures (with spaces between them) is by the secret.
set -eu
key=$(printf '%s' "${1#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
mine=v1,$( { printf '%s.%s.' "$2" "$3"; cat "$4"; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
for signature in $5; do
    if [ "$signature" = "$mine" ]; then exit 0; fi
done
echo "none of them is $mine" >&2
exit 1
