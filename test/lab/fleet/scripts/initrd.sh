mkdir $out
echo "not an initrd: $version" >$out/initrd
