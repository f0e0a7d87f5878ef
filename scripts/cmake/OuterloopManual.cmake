# Man pages generated from --help, one for the program and one for each command, if help2man is installed; and bash
# completion, which parses --help at run time.
find_program(OUTERLOOP_HELP2MAN help2man)
set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/scripts/completion.bash DESTINATION ${completions} RENAME outerloop)

if(NOT OUTERLOOP_HELP2MAN OR OUTERLOOP_SANITIZE)
  return()
endif()
set(pages "")
# outerloop_man_page(PAGE COMMAND NAME)
function(outerloop_man_page page command name)
  set(output ${PROJECT_BINARY_DIR}/man/${page}.1)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
    COMMAND ${OUTERLOOP_HELP2MAN} --no-info --no-discard-stderr --name ${name} --version-string
            "${page} ${PROJECT_VERSION}" --output ${output} "$<TARGET_FILE:outerloop> ${command}"
    DEPENDS outerloop
    COMMENT "Making ${page}.1 of --help"
    VERBATIM)
  set(pages ${pages} ${output} PARENT_SCOPE)
endfunction()

outerloop_man_page(outerloop "" "meta-trains unsupervised update rules")
foreach(command train evaluate figure apply inspect plot bench data export doctor)
  outerloop_man_page(outerloop-${command} ${command} "outerloop ${command}")
endforeach()
add_custom_target(outerloop_manual ALL DEPENDS ${pages})
# After `--target outerloop` there are none: then the program is installed without them.
install(DIRECTORY ${PROJECT_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(CODE "if(NOT EXISTS \"${PROJECT_BINARY_DIR}/man/outerloop.1\")
  message(STATUS \"Without man pages: they come with the target outerloop_manual\")
endif()")
