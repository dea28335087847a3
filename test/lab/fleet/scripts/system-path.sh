mkdir -p $out/bin
for p in $packages; do ln -s $p/bin/* $out/bin/; done
cat >$out/bin/nixos-version <<S
#!/bin/sh
case "\$1" in
  --json) echo '{$([ -z "$revision" ] || printf '"configurationRevision":"%s",' "$revision")"nixosVersion":"$version","nixpkgsRevision":"${version##*.}"}' ;;
  --configuration-revision) [ -n "$revision" ] || { echo "\$0: Unknown configuration revision" >&2; exit 1; }; echo "$revision" ;;
  --hash | --revision) echo "${version##*.}" ;;
  *) echo "$version (Warbler)" ;;
esac
S
chmod +x $out/bin/nixos-version
