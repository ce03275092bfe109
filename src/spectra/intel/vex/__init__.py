"""VEX: what somebody says of weaknesses of products, read and written as OpenVEX and CycloneDX have it. Pure."""
