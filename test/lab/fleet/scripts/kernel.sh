mkdir $out
echo "not a kernel: $version" >$out/bzImage
