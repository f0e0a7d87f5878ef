# The libraries of scripts/dev/gpu-bundle: Open MPI with its plugins, and everything that they and the program load. Sourced
# by it; `bundle` is the folder, `site` the unpacked wheel.

# Open MPI finds its plugins and messages relative to OPAL_PREFIX, at the same places as here relative to its prefix.
# Plugins for networks of clusters, which load large libraries, and those of OpenSHMEM are left out: `check` uses one host.
copy_open_mpi() {
  local prefix plugins messages plugin pmix
  prefix=$(ompi_info --parsable --path prefix | cut -d : -f 3)
  plugins=$(ompi_info --parsable --path pkglibdir | cut -d : -f 3)
  messages=$(ompi_info --parsable --path pkgdatadir | cut -d : -f 3)
  install -s "$(readlink -f "$(command -v mpirun.openmpi)")" "$bundle/libexec/mpirun"
  mkdir -p "$bundle/${plugins#"$prefix"/}" "$bundle/${messages#"$prefix"/}"
  for plugin in "$plugins"/mca_*.so; do
    case ${plugin##*/} in
      *_ofi.so | *_ucx.so | *_openib.so | *_psm.so | *_psm2.so | *_flux.so | *_romio*) ;;
      mca_atomic_* | mca_memheap_* | mca_scoll_* | mca_spml_* | mca_sshmem_*) ;;
      *) install -s -m 644 "$plugin" -t "$bundle/${plugins#"$prefix"/}" ;;
    esac
  done
  cp "$messages"/help-*.txt "$bundle/${messages#"$prefix"/}"
  # PMIx, in its own prefix.
  pmix=$(dirname "$plugins")/../../pmix2
  [ ! -d "$pmix" ] || {
    mkdir -p "$bundle/pmix/lib"
    cp -r "$pmix/lib/pmix" "$bundle/pmix/lib"
    cp -r "$pmix/share" "$bundle/pmix"
  }
}

# HDF5 links libcurl for files on the web, which nothing here reads, and libcurl links thirty libraries. A stand-in has those of
# its functions that HDF5 names; a call ends the process.
replace_curl() {
  local hdf5 functions version
  hdf5=$(ldd "$bundle/bin/outerloop" | awk '$1 ~ /^libhdf5[^ ]*\.so/ && !/_hl/ {print $3; exit}')
  functions=$(nm -D --undefined-only --with-symbol-versions "$hdf5" | sed -n 's/.* \(curl_[a-z_]*\)@.*/\1/p')
  version=$(nm -D --undefined-only --with-symbol-versions "$hdf5" | sed -n 's/.* curl_[a-z_]*@//p' | sort -u)
  [ -n "$functions" ] || return 0
  {
    echo '#include <stdlib.h>'
    # shellcheck disable=SC2086
    printf 'void %s(void) { abort(); }\n' $functions
  } | gcc -x c -shared -fPIC -s -o "$bundle/lib/libcurl.so.4" -Wl,-soname,libcurl.so.4 \
    -Wl,--version-script=<(echo "$version { curl_*; };") - || die 1 "the stand-in for libcurl could not be built"
}

# Objects of the bundle that load libraries.
objects() {
  find "$bundle/bin" "$bundle/lib" "$bundle/libexec" "$bundle/pmix" -type f -exec file {} + | sed -n 's/:.* ELF .*//p'
}

# glibc's own libraries.
glibc_names() { dpkg -L libc6 | sed -n 's|.*/\([^/]*\.so[^/]*\)$|\1|p'; }

# loaded OBJECT...: NAME PATH of each library that they load, without glibc's and the wheel's.
loaded() {
  LD_LIBRARY_PATH=$site/torch/lib:$bundle/lib ldd "$@" | awk -v site="$site/" -v bundle="$bundle/" '
    NR == FNR {glibc[$1]; next}
    /not found/ {print "missing", $1; next}
    $2 == "=>" && !($1 in glibc) && index($3, site) != 1 && index($3, bundle) != 1 {print $1, $3}
  ' <(glibc_names) - | sort -u
}

# gcc's libraries are apart: the other machine's own are used unless they are older, since its GPU's driver was made for them.
copy_libraries() {
  local all name path target
  replace_curl
  mapfile -t all < <(objects)
  mkdir "$bundle/lib/gcc"
  while read -r name path; do
    [ "$name" != missing ] || die 1 "a library that the program loads is missing here: $path"
    case $name in
      libstdc++.* | libgcc_s.* | libatomic.* | libgomp.*) target=$bundle/lib/gcc ;;
      *) target=$bundle/lib ;;
    esac
    install -s -m 644 "$path" "$target/$name"
    copy_licence "$path"
  done < <(loaded "${all[@]}")
}

# copy_licence LIBRARY: the copyright file of its Debian package. dpkg may know the file by its path before /usr was merged.
copy_licence() {
  local path package
  path=$(readlink -f "$1")
  package=$(dpkg -S "$path" 2>/dev/null || dpkg -S "${path#/usr}" 2>/dev/null) || return 0
  package=${package%%:*}
  mkdir -p "$bundle/licences"
  [ ! -e "/usr/share/doc/$package/copyright" ] || gzip -9nc "/usr/share/doc/$package/copyright" >"$bundle/licences/$package.gz"
}

# newest_symbol PREFIX: the newest version of its symbols (GLIBC_2.34) that any object needs.
newest_symbol() {
  objects | xargs -d '\n' objdump -T | sed -n "s/.*\*UND\*.*[( ]$1_\([0-9.]*\).*/\1/p" | sort -uV | tail -n 1
}
