from __future__ import annotations

from pierhead.cli.bake.hcl.functions import LAZY, names, table

# What buildx 0.29 documents, and the two it had before that we refuse by name.
KNOWN = """absolute add and base64decode base64encode basename bcrypt byteslen bytesslice can ceil
chomp chunklist cidrhost cidrnetmask cidrsubnet cidrsubnets coalesce coalescelist compact concat
contains convert csvdecode dirname distinct divide element equal flatten floor format formatdate
formatlist formattimestamp greaterthan greaterthanorequalto hasindex homedir indent index indexof
int join jsondecode jsonencode keys length lessthan lessthanorequalto log lookup lower max md5 merge
min modulo multiply negate not notequal or parseint pow range regex regex_replace regexall replace
reverse reverselist rsadecrypt sanitize semvercmp sethaselement setintersection setproduct
setsubtract setsymmetricdifference setunion sha1 sha256 sha512 signum slice sort split strlen substr
subtract timeadd timestamp title trim trimprefix trimspace trimsuffix try unixtimestampparse upper
urlencode uuidv4 uuidv5 values zipmap""".split()


def test_every_function_of_buildx_is_there() -> None:
    assert sorted(names()) == sorted(KNOWN)
    assert not set(LAZY) & set(table())
